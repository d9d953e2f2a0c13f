"""One opinion from two models: the base model that was shipped, and what this site taught.

In go a mail and both; out comes an Opinion whose evidence adds up to its points. The log-odds are the site's own, as
far as its labels let it be sure, and the base model's, which weigh less with each label. Until the site's gate is
passed the points stay under the quarantine threshold. Without a taught site model the base model speaks alone. Never
raises.
"""

from __future__ import annotations

import numpy as np

from filterd.classifier.explain import REST, explain, strongest, summed
from filterd.classifier.features import Features
from filterd.classifier.learner import logistic
from filterd.classifier.live import Live
from filterd.classifier.model import Model
from filterd.classifier.points import HIGHEST, LOWEST, SLOPE, exact_points, points
from filterd.mail import Mail
from filterd.record import Evidence, Opinion

TRUSTED_HIGHEST = 1_000  # points that a site model may give by itself once its gate is passed
TRUSTED_LOWEST = -300


def think(mail: Mail, model: Model | None, site: Live | None) -> Opinion:
    """What both models together think of `mail`."""
    if site is None or not site.taught:
        return model.opinion(mail) if model is not None else Opinion()
    if not mail.message.raw.strip():
        return Opinion(model=model.id if model else "", site=site.id)
    features = Features(mail.message)
    foreign = site.base_weight * model.log_odds(features.portable) if model else 0.0
    whole = site.score(features)
    own = site.bounded(whole)
    log_odds = own + foreign
    bounds = (TRUSTED_LOWEST, TRUSTED_HIGHEST) if site.trusted else (LOWEST, HIGHEST)
    given = points(log_odds, *bounds)
    scale = exact_points(log_odds, *bounds) / log_odds if abs(log_odds) > 1e-6 else SLOPE
    evidence = [
        *_of_base(features, model, foreign * scale),
        *_of_site(features, site, scale * own / whole if whole else 0.0),
    ]
    return Opinion(
        logistic(log_odds),
        given,
        model.id if model else "",
        summed(evidence, given),
        site=site.id,
        trusted=site.trusted,
    )


def _of_base(features: Features, model: Model | None, share: float) -> list[Evidence]:
    """The base model's tokens; together they are `share` hundredths, less what is left to the rest."""
    if model is None or abs(share) < 1:
        return []
    away = model.score(features.portable) - model.indifference
    if abs(away) < 1e-6:
        return []
    return [one for one in explain(features, model.weights, share / away, round(share)) if one.token != REST]


def _of_site(features: Features, site: Live, scale: float) -> list[Evidence]:
    """The site's strongest tokens, and the head of the message as one."""
    *opening, text = features.site
    shares = site.shares(len(opening), text)
    found = features.text_occurrences
    evidence = [
        Evidence(
            f"here: {features.text_token(int(np.argmax(found == text[place])))}",
            round(float(shares[place]) * scale),
        )
        for place in strongest(shares)
    ]
    head = round(scale * sum(float(site.shares(place, view).sum()) for place, view in enumerate(opening)))
    return [*evidence, Evidence("here: how the message begins, byte by byte", head)]

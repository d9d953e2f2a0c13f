"""From a Config to a Generation: the judges, the DNS, the policies. Everything that a reload replaces.

`pooled` is for the service: worker processes behind a closed door. `inline` is for commands that judge a
person's own mail: the same judge in this very process. Both raise what a postmaster should read:
RuleErrors, ModelError, PoolError.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from filterd.config.load import Loaded
from filterd.config.model import Config
from filterd.engine.early import Blocks, block_nobody
from filterd.engine.engine import Ask, Generation, Judges, ask_nobody
from filterd.engine.inline import InlinePool
from filterd.engine.loading import load_judge
from filterd.engine.pool import Pool, default_size
from filterd.engine.rates import Rates
from filterd.engine.wire import Setup
from filterd.wishes import Wishes


def setup_of(config: Config) -> Setup:
    """What a worker must know of the configuration."""
    thresholds = config.thresholds.value
    defaults = Setup(hostname="")
    return Setup(
        hostname=config.hostname,
        relays=tuple(str(network) for network in config.networks.relays),
        believed=config.networks.authserv_ids,
        rules=config.rules.model_dump_json().encode(),
        model=config.model.model_dump_json().encode(),
        site=config.site.model_dump_json().encode(),
        dmarc=config.dmarc.model_dump_json().encode(),
        policies=config.all_policies.judged.model_dump_json().encode(),
        learnt=str(config.state.absolute()),
        taught=config.learn.per_user_points if config.learn.per_user else 0.0,
        tag_at=defaults.tag_at if thresholds.tag is None else thresholds.tag,
        quarantine_at=defaults.quarantine_at if thresholds.quarantine is None else thresholds.quarantine,
    )


async def pooled(loaded: Loaded, ask: Ask, blocks: Blocks = block_nobody, workers: int | None = None) -> Generation:
    """A generation with its own worker processes, all of them ready."""
    pool = Pool(setup_of(loaded.config), workers or loaded.config.workers or default_size())
    await pool.start()
    return replace(_generation(loaded, pool, ask), blocks=blocks)


def redecided(generation: Generation, loaded: Loaded) -> Generation:
    """The same judges and counters, under other policies and another access list."""
    return replace(
        generation,
        config=loaded.hash,
        policies=loaded.config.all_policies,
        users=0,
        unused=asyncio.Event(),
    )


def inline(loaded: Loaded, ask: Ask = ask_nobody) -> Generation:
    """A generation without processes."""
    return _generation(loaded, InlinePool(load_judge(setup_of(loaded.config))), ask)


def _generation(loaded: Loaded, judges: Judges, ask: Ask) -> Generation:
    config = loaded.config
    return Generation(
        config=loaded.hash,
        hostname=config.hostname,
        policies=config.all_policies,
        judges=judges,
        ask=ask,
        settings=config.engine,
        rates=Rates(config.rates),
        relays=config.networks.known_relays,
        wishes=Wishes(dmarc=config.dmarc, greylist=config.greylist),
    )

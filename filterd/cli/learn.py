"""`filterd learn spam|ham|forget PATH...`: teach the site's own model, at once."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.cli.mailbox_sources import CaOption, Mailboxes, PasswordOption
from filterd.cli.storing import opened, who
from filterd.config import Config
from filterd.learning import Klass, LearningError, Request, Result
from filterd.learning.link import answers, ask
from filterd.learning.words import LEFT_OUT, SAY_AGAIN
from filterd.printable import printable
from filterd.sources import Unreadable

Handle = Callable[[Request], Result]


class Origin(enum.StrEnum):
    """Where labels came from."""

    VERDICTS = "verdicts"


def command(
    klass: Annotated[Klass, typer.Argument(metavar="spam|ham|forget", help="What the messages are.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH", help="Files, folders, mbox, Maildir, imaps://user@host/Folder; - is standard input."
        ),
    ] = None,
    config: ConfigOption = None,
    password_file: PasswordOption = None,
    ca: CaOption = None,
    user: Annotated[str, typer.Option(metavar="U", help="Who says so; their labels in a day have a bound.")] = "",
    origin: Annotated[
        Origin | None, typer.Option("--from", help="forget: all labels that came from verdicts of filterd's own.")
    ] = None,
    as_object: JsonOption = False,
) -> int:
    """The running service sees it at once. The same message counts once, the other class moves it, forget takes it
    out. Exit code 2: something could not be read, or was refused."""
    settings = read_config(config)
    if origin is not None:
        return _forget_verdicts(settings, klass, paths, as_object=as_object)
    if not paths:
        raise Fail("say what is learnt: files, folders, an mbox, a Maildir, imaps://user@host/Folder, or -")
    seen: Counter[str] = Counter()
    last = Result()
    with learning(settings) as handle:
        for item in Mailboxes(password_file, ca).read_all(paths):
            if isinstance(item, Unreadable):
                sys.stderr.write(f"{printable(item.path)}: {item.why}\n")
                seen["unreadable"] += 1
                continue
            last = handle(Request(klass=klass, raw=item.raw, reporter=user, by=who()))
            if last.refused:
                sys.stderr.write(f"{printable(item.path)}: {last.why}\n")
            seen[became(last, klass)] += 1
    if not seen:
        raise Fail("there is no message in " + " ".join(printable(path) for path in paths))
    if as_object:
        print_json({**seen, "labels": {"ham": last.ham, "spam": last.spam}})
    else:
        said = ", ".join(f"{count} {became}" for became, count in seen.items())
        sys.stdout.write(f"{said}; labels now: {last.ham} ham, {last.spam} spam\n")
    return 2 if seen["refused"] + seen["unreadable"] else 0


def _forget_verdicts(config: Config, klass: Klass, paths: list[str] | None, *, as_object: bool) -> int:
    if klass is not Klass.FORGET or paths:
        raise Fail("--from verdicts stands alone: filterd learn forget --from verdicts")
    with learning(config) as handle:
        result = handle(Request(klass=klass, verdict=True, by=who()))
    if as_object:
        print_json({"told": result.told, "labels": {"ham": result.ham, "spam": result.spam}})
    else:
        sys.stdout.write(f"{result.told}; labels now: {result.ham} ham, {result.spam} spam\n")
    return 0


@contextlib.contextmanager
def learning(config: Config) -> Iterator[Handle]:
    """Somebody who learns: the service where it runs, else this process. Raises Fail."""
    if answers(config.state):
        yield lambda request: _asked(config, request)
    else:
        with _own(config) as handle:
            yield handle


@contextlib.contextmanager
def _own(config: Config) -> Iterator[Handle]:
    from filterd.app.learning import sender_words
    from filterd.classifier import ModelError, load_shipped_or
    from filterd.learning.learner import open_learner

    try:
        with (
            opened(config) as store,
            open_learner(
                config.state, store, load_shipped_or(config.model), config.learn, sender_words(config, store)
            ) as learner,
        ):
            if learner.left_out:
                sys.stderr.write(f"{LEFT_OUT.format(len(learner.left_out))}. {SAY_AGAIN}\n")
            yield learner.handle
    except (LearningError, ModelError) as error:
        raise Fail(str(error)) from error


def _asked(config: Config, request: Request) -> Result:
    try:
        result = ask(config.state, request)
    except LearningError as error:
        raise Fail(str(error)) from error
    if result is None:
        raise Fail("the learning process of the service is gone; try again")
    return result


def became(result: Result, klass: Klass) -> str:
    """What became of a message, in a word or two."""
    if result.refused:
        return "refused"
    if not result.counted:
        return "not known" if klass is Klass.FORGET else "known already"
    return "forgotten" if klass is Klass.FORGET else "moved" if result.moved else "learnt"

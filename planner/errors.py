"""What can go wrong in the world: every typed error of slackwater stands under one root.

A bug of our own is an ``assert``; a fault of the world (a file, a cloud, a person's input) is one
of these. Each says what happened, to which id, and what to do next.
"""


class SlackwaterError(Exception):
    """Root of all typed errors.

    Parameters
    ----------
    what : str
        What happened, naming the id, file or line.
    fix : str, optional
        What the reader can do about it.

    Attributes
    ----------
    retry : bool
        Whether the same request may succeed when it is repeated unchanged.
    """

    retry = False

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(f"{what}. {fix}" if fix else what)
        self.what = what
        self.fix = fix


class InvalidExtent(SlackwaterError):
    """A box, period or parameter list that cannot be."""


class InvalidSubscription(SlackwaterError):
    """A subscription that cannot be served as it stands."""


class UnknownPlugin(SlackwaterError):
    """A policy, partitioner, application or derived parameter of that name is not installed."""


class BrokenPlugin(SlackwaterError):
    """An installed plug-in cannot be imported, is not what it should be, or is there twice."""


class BrokenJournal(SlackwaterError):
    """A journal line that cannot be read, or a replay that differs from its record."""

"""The errors a user of Duomorph can meet.

One promise: whatever a user hands us, a failure is one of these, and its text is one sentence that says what
was got, what was expected and what to do.

    try:
        duomorph.load().animate("speech.wav")
    except duomorph.DuomorphError as error:
        print(error)
"""


class DuomorphError(Exception):
    """Base of every error that Duomorph raises on purpose."""


class AudioError(DuomorphError):
    """The sound cannot be read or is not what the call takes."""


class FormatError(DuomorphError):
    """A curve file or packet cannot be read or written, or its format is unknown."""


class SettingError(DuomorphError):
    """A setting (frame rate, delay, style, ...) is out of range."""


class ModelError(DuomorphError):
    """A model file is missing, damaged or not ours."""


class CorpusError(DuomorphError):
    """Training or evaluation data is absent or malformed."""


class LiveError(DuomorphError):
    """A microphone, port or listener is not to be had."""


class BatchError(DuomorphError):
    """A list of lines cannot be worked off any further, or its ledger cannot be used."""


class MissingExtra(DuomorphError):
    """An optional dependency is needed and not installed."""

"""The marks of status and evidence: shape before colour, each drawn in a 16 px square with its word as title."""

from __future__ import annotations

from auditor.report.figures.palette import LIGHT

WORDS = {
    "pass": "Pass",
    "fail": "Fail",
    "inconclusive": "Inconclusive",
    "error": "Error",
    "skipped": "Skipped",
    "waived": "Waived",
}
STATUS_MEANS = {
    "pass": "the whole interval, or the certificate, is on the right side",
    "fail": "on the wrong side, or a counterexample is in hand",
    "inconclusive": "the interval straddles the threshold, or the budget ran out",
    "waived": "a person accepts a non-pass until a date; the status stays",
    "error": "the check could not finish; cannot be waived",
    "skipped": "not run; the reason is always given",
}
EVIDENCE_MEANS = {
    "certified": "a theorem about this model, proved from its weights",
    "probabilistic": "a theorem that holds with the stated probability",
    "measured": "an estimate from the audited rows, with its interval",
    "attacked": "the strongest attack tried; finding nothing proves nothing",
}
EVIDENCE_SHORT = {
    "certified": "a theorem about this model",
    "probabilistic": "a theorem, with high probability",
    "measured": "an estimate with an interval",
    "attacked": "the strongest attack tried",
}


def _f(name: str) -> str:
    return f'class="f-{name}" fill="{LIGHT[name]}"'


def _k(name: str, width: float, fill: str | None = None) -> str:
    painted = f'class="k-{name}" fill="none"' if fill is None else f'class="f-{fill} k-{name}" fill="{LIGHT[fill]}"'
    return f'{painted} stroke="{LIGHT[name]}" stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round"'


_STATUS = {
    "pass": f'<circle cx="8" cy="8" r="6.7" {_f("ok")}/><path d="M4.9 8.4L7.1 10.7L11.2 5.5" {_k("paper", 1.8)}/>',
    "fail": f'<rect x="1.9" y="1.9" width="12.2" height="12.2" {_f("alert")}/>'
    f'<path d="M5.3 5.3L10.7 10.7M10.7 5.3L5.3 10.7" {_k("paper", 1.9)}/>',
    "inconclusive": f'<circle cx="8" cy="8" r="5.9" {_k("warn", 1.7, "paper")}/>'
    f'<path d="M8 2.1A5.9 5.9 0 0 1 8 13.9Z" {_f("warn")}/>',
    "waived": f'<rect x="2.6" y="2.6" width="10.8" height="10.8" {_k("ink2", 1.6, "paper")}/>'
    f'<path d="M2.8 13.2L13.2 2.8" {_k("ink2", 1.6)}/>',
    "error": f'<path d="M8 1.5L15 13.8L1 13.8Z" {_f("ink")}/><path d="M8 6L8 9.6M8 11.7L8 11.8" {_k("paper", 1.7)}/>',
    "skipped": f'<circle cx="8" cy="8" r="5.8" {_k("ink3", 1.4, "paper")} stroke-dasharray="1.9 2.65"/>'
    f'<path d="M6 8L10 8" {_k("ink3", 1.5)}/>',
}
_EVIDENCE = {
    "certified": f'<path d="M1.6 6.2H10.8V9.8H1.6Z" {_f("ink")}/><path d="M13 2.8V13.2" {_k("ink", 2.1)}/>',
    "probabilistic": f'<path d="M1.6 6.2H5.2V9.8H1.6ZM7.2 6.2H10.8V9.8H7.2Z" {_f("ink")}/>'
    f'<path d="M13 2.8V13.2" {_k("ink", 2.1)}/>',
    "measured": f'<path d="M1.8 8H14.2M1.8 5.2V10.8M14.2 5.2V10.8" {_k("ink", 1.4)}/>'
    f'<circle cx="8" cy="8" r="2.6" {_f("ink")}/>',
    "attacked": f'<path d="M1.6 8H9.8M6.9 4.9L10 8L6.9 11.1" {_k("ink", 1.6)}/>'
    f'<path d="M13.4 2.6V5.6M13.4 10.4V13.4" {_k("ink", 1.8)}/>',
}


def status_shapes(status: str) -> str:
    """The shapes alone, for use inside another drawing."""
    return _STATUS[status]


def status_mark(status: str, word: str | None = None) -> str:
    """The mark of a status; `word` ("" beside the word itself, where a second voice would disturb) is its title."""
    return _mark(_STATUS[status], WORDS[status].lower() if word is None else word)


def evidence_mark(kind: str, word: str | None = None) -> str:
    return _mark(_EVIDENCE[kind], kind if word is None else word)


def _mark(shapes: str, word: str) -> str:
    title = f'role="img"><title>{word}</title>' if word else 'aria-hidden="true">'
    size = 'viewBox="0 0 16 16" width="16" height="16"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" class="sym" {size} {title}{shapes}</svg>'

"""What each code of a spec problem means: the paragraph that `auditor explain CODE` prints."""

from __future__ import annotations

CODES: dict[str, str] = {
    "yaml-syntax": "The file is not YAML up to this place; everything after it was not read.",
    "not-utf-8": "A spec is UTF-8 text. The place is the first byte that is not.",
    "too-large": "A spec file has at most one mebibyte. Move lists into data files, or split it with `include`.",
    "too-deep": "Maps and lists nest at most 50 levels deep.",
    "tag": "YAML tags such as !!python/object can make a reader run code. A spec is plain data, so none is accepted.",
    "alias": (
        "Anchors and aliases (&x, *x) are refused: they can blow a small file up without bound. Use `vars` "
        "for a scalar, `extends` for a check."
    ),
    "duplicate-key": (
        "The same key is stated twice in one map, or one class twice; a reader could not know which one counts."
    ),
    "several-documents": "A file holds one spec; `---` begins a second document.",
    "not-a-map": "The top of a spec is a map of sections: auditor, name, model, data, checks and others.",
    "unknown-key": "The key is not part of the language at this place. Usually a misspelling: see the suggestion.",
    "missing-key": "Something that must be stated is not. The place is the map that lacks it.",
    "wrong-type": "A value of another kind is expected here. Types are strict: a quoted number is text.",
    "out-of-range": "The number, or the length of the list, lies outside what the key allows.",
    "wrong-value": "The value is not among those the key allows.",
    "unknown-type": "No check type has this name. `auditor list checks` prints those there are.",
    "unknown-metric": "The check type has no metric of this name. `auditor list metrics` prints those there are.",
    "unknown-class": "The class is not in `model.classes`.",
    "unknown-set": "The class set is not declared under `sets`.",
    "unknown-source": "The data source is not declared under `data`.",
    "unknown-check": "No check has this name; `extends` and waivers name exactly one.",
    "unknown-variable": "`${name}` stands for a scalar under `vars`; there is none of this name.",
    "partial-variable": "A variable replaces a whole value; inside a longer text `${name}` would stay as written.",
    "unknown-attribute": "Rows are filtered by attributes that their source lists under `attributes`.",
    "unknown-framework": "This version ships no table of clauses under that name, so the report would have none.",
    "bad-name": (
        "A check's name is a path of small letters, digits and . + - _, each part beginning with a letter or digit, "
        "without `__`, because it names a folder."
    ),
    "bad-slice": "Rows are chosen by a Python slice in text: ':4500', '4500:', '0:9000:2'.",
    "bad-region": "A region of the input must lie within an input's shape, and be neither none nor all of it.",
    "bad-threshold": (
        "A check states exactly one of `require` and `budget`, and that exactly one of `at_least` and `at_most`."
    ),
    "top-k-too-large": "The set of all classes never changes, so `top_k` must be smaller than the number of classes.",
    "whole-set": "A class set that holds every class accepts every confusion, so it certifies nothing.",
    "cycle": "An `include`, `extends` or variable leads back to itself.",
    "missing-file": (
        "A file that the spec names is not there. Paths of `include` and `file` start at the spec's folder."
    ),
    "version": "The spec is written in another version of the language than this program reads.",
    "contradiction": (
        "No model can satisfy this (thesis def. 2.2): the demand is impossible, or another check demands the "
        "opposite of the same rows."
    ),
}

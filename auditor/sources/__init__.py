"""Data of every format, read without torch: what a source holds, its rows, and whose rows overlap."""

from auditor.lookup.files import find
from auditor.sources.batch import Batch
from auditor.sources.manifest import Manifest, manifest, manifests
from auditor.sources.model_identity import model_identity
from auditor.sources.overlap import Overlap, Part, overlaps, refuse_overlaps
from auditor.sources.reading import chunks, read
from auditor.sources.rows import parse_slice
from auditor.sources.section import Section

__all__ = [
    "Batch",
    "Manifest",
    "Overlap",
    "Part",
    "Section",
    "chunks",
    "find",
    "manifest",
    "manifests",
    "model_identity",
    "overlaps",
    "parse_slice",
    "read",
    "refuse_overlaps",
]

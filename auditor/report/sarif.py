"""SARIF 2.1.0: each check a rule, each finding a result at the line of the spec that asks for it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from auditor.records import Finding, Results, Status
from auditor.report.bar import spoken
from auditor.report.words import sentence

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
KINDS = {
    Status.PASS: "pass",
    Status.FAIL: "fail",
    Status.INCONCLUSIVE: "open",
    Status.ERROR: "fail",
    Status.SKIPPED: "notApplicable",
}


def sarif(results: Results) -> bytes:
    """A log of one run. Results of a kind other than `fail` carry level `none`, as the standard demands."""
    rules = {finding.type: k for k, finding in enumerate({f.type: f for f in results.findings}.values())}
    blocking = {reason.check for reason in results.verdict.reasons}
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "auditor",
                "rules": [{"id": kind, "name": _pascal(kind), "shortDescription": {"text": kind}} for kind in rules],
            }
        },
        "artifacts": [
            {"location": {"uri": _uri(path)}, "hashes": {"sha-256": sha256}} for path, sha256 in _files(results).items()
        ],
        "results": [_result(finding, rules, results, finding.check in blocking) for finding in results.findings],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": results.verdict.status, "exitCode": results.verdict.exit_code},
    }
    version = results.run.environment.get("auditor")
    if version:
        run["tool"]["driver"]["version"] = str(version)
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(log, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _result(finding: Finding, rules: dict[str, int], results: Results, blocks: bool) -> dict[str, Any]:
    kind = KINDS[finding.status]
    level = "none" if kind != "fail" else {"error": "error", "warn": "warning", "info": "note"}[finding.severity]
    reasons = [reason.text for reason in results.verdict.reasons if reason.check == finding.check]
    text = " ".join(
        sentence(part)
        for part in dict.fromkeys([spoken(finding), finding.summary or finding.reason or "", *reasons])
        if part
    )
    result: dict[str, Any] = {
        "ruleId": finding.type,
        "ruleIndex": rules[finding.type],
        "kind": kind,
        "level": level,
        "message": {"text": f"{finding.check}: {text}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact(finding.file or results.spec.path, results),
                    "region": {"startLine": finding.line or 1},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.check}],
            }
        ],
        "partialFingerprints": {"auditorCheck/v1": finding.check},
        "properties": {"status": finding.status.value, "blocks": blocks, "evidence": finding.evidence_kind.value},
    }
    if finding.waived:
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": f"{finding.waived.reason} ({finding.waived.owner}, until {finding.waived.expires})",
            }
        ]
    return result


def _files(results: Results) -> dict[str, str]:
    """Hashes of the spec and of what it includes, the main file first."""
    return {results.spec.path: results.spec.sha256, **results.spec.files}


def _artifact(path: str, results: Results) -> dict[str, Any]:
    return {"uri": _uri(path), "index": list(_files(results)).index(path)}


def _uri(path: str) -> str:
    """`path` as a relative reference."""
    return quote(path.replace("\\", "/"), safe="/-._~")


def _pascal(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.replace("_", ".").split("."))

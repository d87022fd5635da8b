"""The tags of runs in MLflow, by which people group and filter them."""

from __future__ import annotations

from pathlib import Path

from suite.store.store import Store


def test_every_run_has_its_family_and_its_state(finished: Path) -> None:
    tracking = Store(finished / "mlruns", reads_only=True).tracking
    of_runs = [run.data.tags for run in tracking.runs("tiny", "tags.role = 'evaluation'")]
    found = {tuple(tags[name] for name in ("architecture", "family", "state")) for tags in of_runs}
    assert found == {("gru", "gated", "4"), ("rnn", "simple", "4")}
    studies = [run.data.tags for run in tracking.runs("tiny", "tags.role = 'study'")]
    assert {tags["architecture"]: tags["family"] for tags in studies} == {"gru": "gated", "rnn": "simple"}

"""Counting what a ledger says."""

from __future__ import annotations

from collections import Counter

from benchmark.data.ledger_chain import read_entries


def reads(ledger, dataset_digest=None):
    """Count the test reads by model, of one data set where it is given."""
    return Counter(
        entry["model"] for entry in read_entries(ledger) if dataset_digest in (None, entry["dataset_digest"])
    )

"""Which two belong together: a one-to-one assignment of the largest sum. Pure Python, nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

A = TypeVar("A", bound=Hashable)
B = TypeVar("B", bound=Hashable)


def assign(gains: Mapping[tuple[A, B], float]) -> dict[A, B]:
    """Pairs, each side at most once, whose gains (> 0) have the largest sum; equal sums go to what comes first.

    What is not in `gains` cannot be paired. The Hungarian method in O(n² m) with potentials (R. Jonker and
    A. Volgenant, A Shortest Augmenting Path Algorithm, Computing 38, 1987), apart for each group that hangs together.
    """
    pairs: dict[A, B] = {}
    for group in _groups({pair: gain for pair, gain in gains.items() if gain > 0}):
        rows = list(dict.fromkeys(a for a, _ in group))
        columns = list(dict.fromkeys(b for _, b in group))
        if len(rows) <= len(columns):
            found = _hungarian([[-group.get((a, b), 0.0) for b in columns] for a in rows])
            chosen = [(rows[i], columns[j]) for i, j in enumerate(found)]
        else:
            found = _hungarian([[-group.get((a, b), 0.0) for a in rows] for b in columns])
            chosen = [(rows[j], columns[i]) for i, j in enumerate(found)]
        pairs.update(pair for pair in chosen if pair in group)
    return pairs


def _groups(gains: dict[tuple[A, B], float]) -> list[dict[tuple[A, B], float]]:
    """The pairs, apart where no chain of shared members leads from one to the other."""
    by_a: dict[A, list[tuple[A, B]]] = {}
    by_b: dict[B, list[tuple[A, B]]] = {}
    for pair in gains:
        by_a.setdefault(pair[0], []).append(pair)
        by_b.setdefault(pair[1], []).append(pair)
    groups = []
    left = dict.fromkeys(gains)
    while left:
        todo = [next(iter(left))]
        members = set(todo)
        while todo:
            a, b = todo.pop()
            more = [pair for pair in (*by_a[a], *by_b[b]) if pair not in members]
            members.update(more)
            todo += more
        groups.append({pair: gains[pair] for pair in gains if pair in members})
        for pair in members:
            del left[pair]
    return groups


def _hungarian(costs: list[list[float]]) -> list[int]:
    """The column of each row, so that the costs have the smallest sum; no more rows than columns."""
    width = len(costs[0])
    row_price, column_price = [0.0] * (len(costs) + 1), [0.0] * (width + 1)
    owner = [0] * (width + 1)
    """Row + 1 of each column + 1; the first entry is the row that looks for one."""
    for row in range(1, len(costs) + 1):
        owner[0], at = row, 0
        slack, via, seen = [float("inf")] * (width + 1), [0] * (width + 1), [False] * (width + 1)
        while owner[at]:
            seen[at] = True
            here, least, nearest = owner[at], float("inf"), 0
            for column in range(1, width + 1):
                if seen[column]:
                    continue
                cost = costs[here - 1][column - 1] - row_price[here] - column_price[column]
                if cost < slack[column]:
                    slack[column], via[column] = cost, at
                if slack[column] < least:
                    least, nearest = slack[column], column
            for column in range(width + 1):
                if seen[column]:
                    row_price[owner[column]] += least
                    column_price[column] -= least
                else:
                    slack[column] -= least
            at = nearest
        while at:
            owner[at], at = owner[via[at]], via[at]
    found = [0] * len(costs)
    for column in range(1, width + 1):
        if owner[column]:
            found[owner[column] - 1] = column - 1
    return found

"""Reads that take more than one request."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from inventory_updater.dynamodb.reading import query, read_keys

CUP, MUG = {"sku": "cup"}, {"sku": "mug"}


class Scripted:
    """A client that gives one answer after the other and keeps what it was asked."""

    def __init__(self, *answers: Mapping[str, object]) -> None:
        self._answers = iter(answers)
        self.asked: list[dict[str, Any]] = []

    def _answer(self, **request: Any) -> Mapping[str, object]:
        self.asked.append(request)
        return next(self._answers)

    query = batch_get_item = _answer


def stored(*keys: Mapping[str, str]) -> list[dict[str, dict[str, str]]]:
    return [{name: {"S": value} for name, value in key.items()} for key in keys]


def answer(*found: Mapping[str, str], left: list[Mapping[str, str]]) -> dict[str, object]:
    unprocessed = {"shop": {"Keys": stored(*left)}} if left else {}
    return {"Responses": {"shop": stored(*found)}, "UnprocessedKeys": unprocessed}


def read(client: Scripted, pauses: list[float], rounds: int = 5) -> Iterator[Mapping[str, object]]:
    return read_keys(cast("Any", client), "shop", [CUP, MUG], is_consistent=True, rounds=rounds, sleep=pauses.append)


def test_a_query_goes_on_where_its_page_ended_until_there_is_none() -> None:
    key = stored(CUP)[0]
    client = Scripted({"Items": stored(CUP), "LastEvaluatedKey": key}, {"Items": stored(MUG)})

    assert list(query(cast("Any", client), {"TableName": "shop"})) == [CUP, MUG]
    assert client.asked == [{"TableName": "shop"}, {"TableName": "shop", "ExclusiveStartKey": key}]


def test_keys_that_were_left_for_later_are_asked_for_again_after_a_pause() -> None:
    client, pauses = Scripted(answer(CUP, left=[MUG]), answer(MUG, left=[])), list[float]()

    assert list(read(client, pauses)) == [CUP, MUG]
    assert [each["RequestItems"]["shop"]["Keys"] for each in client.asked] == [stored(CUP, MUG), stored(MUG)]
    assert len(pauses) == 1


def test_keys_that_are_left_in_every_round_are_an_error_that_counts_them() -> None:
    left, found = answer(left=[CUP, MUG]), answer(CUP, MUG, left=[])

    assert list(read(Scripted(left, left, found), [], rounds=3)) == [CUP, MUG]
    with pytest.raises(TimeoutError, match="table shop did not answer for 2 keys"):
        list(read(Scripted(left, left, left), [], rounds=3))

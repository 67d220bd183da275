"""Sequences of requests, by name, that every engine is asked alike; each begins with an empty table."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from inventory_updater.dynamodb.values import to_attribute_value, to_attribute_values

TABLE: Final = "conformance"

DEFINITION: Final[Mapping[str, Any]] = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (("p", "S"), ("s", "S"), ("due", "S"), ("n", "N"))
    ],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "due",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": "by-number",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ],
}

Step = tuple[str, dict[str, Any]]
"""An operation and its parameters; the table's name goes without saying."""

_TOTAL: Final = {"ReturnConsumedCapacity": "TOTAL"}
_OLD: Final = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def key(s: str = "1", p: str = "a") -> dict[str, Any]:
    return {"p": {"S": p}, "s": {"S": s}}


def put(s: str = "1", p: str = "a", /, **values: Any) -> Step:
    return "put_item", {"Item": key(s, p) | to_attribute_values(values), **_TOTAL}


def put_raw(**values: Any) -> Step:
    return "put_item", {"Item": key() | values}


def get(s: str = "1", p: str = "a", **more: Any) -> Step:
    return "get_item", {"Key": key(s, p), "ConsistentRead": True} | more


def given_values(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {f":{name}": to_attribute_value(value) for name, value in values.items()}
    return {"ExpressionAttributeValues": found} if found else {}


def update(expression: str, condition: str | None = None, /, *, at: str = "1", more: Any = None, **values: Any) -> Step:
    conditional = {"ConditionExpression": condition, **_OLD} if condition else {}
    return "update_item", {
        "Key": key(at),
        "UpdateExpression": expression,
        "ReturnValues": "ALL_NEW",
        **conditional,
        **given_values(values),
        **(more or {}),
    }


def holds(condition: str, more: Any = None, **values: Any) -> Step:
    """A write that changes nothing but says whether a condition holds."""
    return update("SET zzz = :zzz", condition, more=more, zzz=1, **values)


def query(condition: str, more: Any = None, **values: Any) -> Step:
    return "query", {"KeyConditionExpression": condition, **given_values(values), **(more or {})}


def scan(more: Any = None, **values: Any) -> Step:
    return "scan", {**given_values(values), **(more or {})}


def statement(text: str, *parameters: Any, old: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"Statement": text.replace(" T ", f' "{TABLE}" ', 1)}
    if parameters:
        found["Parameters"] = [to_attribute_value(value) for value in parameters]
    return found | (_OLD if old else {})


def batch(*statements: Any) -> Step:
    return "batch_execute_statement", {"Statements": list(statements), **_TOTAL}


def transaction(*actions: tuple[str, str, dict[str, Any]]) -> Step:
    """A transaction of such parts: what to do, where, and how."""
    named = [{kind: {"TableName": TABLE, "Key": key(s), **how}} for kind, s, how in actions]
    return "transact_write_items", {"TransactItems": named}


def one(text: str, *parameters: Any) -> Step:
    return batch(statement(text, *parameters))


_SETS_TO_2: Final = {"UpdateExpression": "SET a = :two"}

WHERE: Final = 'WHERE "p"=? AND "s"=?'

REFUSED_UPDATES: Final[Sequence[tuple[str, dict[str, Any]]]] = [
    ("SET b = nothing", {}),
    ("SET b = nothing + :a", {"a": 1}),
    ("SET b = t + :a", {"a": 1}),
    ("SET b = :t + :a", {"a": 1, "t": "x"}),
    ("SET b = a * :a", {"a": 1}),
    ("SET x.y = :a", {"a": 1}),
    ("SET t.y = :a", {"a": 1}),
    ("SET l.y = :a", {"a": 1}),
    ("SET t[0] = :a", {"a": 1}),
    ("SET b = list_append(t, :l)", {"l": [1]}),
    ("SET a = :a, a = :a", {"a": 1}),
    ("SET m = :a, m.k = :a", {"a": 1}),
    ("SET p = :a", {"a": "b"}),
    ("REMOVE s", {}),
    ("REMOVE nothing.k", {}),
    ("REMOVE a.k", {}),
    ("ADD m.k :a", {"a": 1}),
    ("SET a = :a SET b = :a", {"a": 1}),
    ("SET a = :a +", {"a": 1}),
    ("SET", {"a": 1}),
    ("a = :a", {"a": 1}),
    ("SET a = :b", {"a": 1}),
    ("SET a = :a", {"a": 1, "b": 1}),
    ("SET #a = :a", {"a": 1}),
]

REFUSED_CONDITIONS: Final[Sequence[tuple[str, dict[str, Any]]]] = [
    ("a < :a", {"a": None}),
    ("a < :a", {"a": [1]}),
    ("a = a", {}),
    ("a BETWEEN :a AND :b", {"a": 7, "b": 6}),
    ("a BETWEEN :a AND :b", {"a": 1, "b": "x"}),
    ("attribute_type(a, :k)", {"k": "X"}),
    ("begins_with(a, :a)", {"a": "5"}),
    ("a = :a) OR (a = :a", {"a": 5}),
    ("(a = :a", {"a": 5}),
    ("a == :a", {"a": 5}),
    ("a = 5", {}),
]

SEQUENCES: Final[Mapping[str, Sequence[Step]]] = {
    "get what is not there": [get(), get(**_TOTAL), ("get_item", {"Key": key(), **_TOTAL})],
    "put and get": [put(a="x"), get(), get("2"), put(b=1), get()],
    "put returns the old item": [
        put(a=1),
        ("put_item", {"Item": key(), "ReturnValues": "ALL_OLD"}),
        ("put_item", {"Item": key("2"), "ReturnValues": "ALL_OLD"}),
        ("put_item", {"Item": key("2"), "ReturnValues": "ALL_NEW"}),
    ],
    "every type": [
        put_raw(
            b={"B": b"\x00\xff"}, t={"BOOL": True}, z={"NULL": True}, ss={"SS": ["b", "a"]}, ns={"NS": ["2", "1.0"]}
        ),
        get(),
        put_raw(bs={"BS": [b"b", b"a"]}, m={"M": {"l": {"L": [{"S": ""}, {"M": {}}, {"L": []}]}}}),
        get(),
    ],
    "numbers in their one form": [
        step
        for number in ("1.50", "-0", "1e3", "1E-130", "9.9999E125", "007", "-12.3400e-3", "1" * 38, "+5")
        for step in (put_raw(x={"N": number}), get())
    ],
    "numbers that are none": [
        put_raw(x={"N": number}) for number in ("1" * 39, "1E126", "1E-131", "x", "", "NaN", "Infinity", "1.1E-130")
    ],
    "empty values": [
        put_raw(x={"S": ""}),
        put_raw(x={"B": b""}),
        put_raw(x={"SS": []}),
        put_raw(x={"NS": []}),
        put_raw(x={"SS": [""]}),
        get(),
    ],
    "sets with duplicates": [put_raw(x={"SS": ["a", "a"]}), put_raw(x={"NS": ["1", "1.0"]}), get()],
    "keys that are none": [
        ("put_item", {"Item": {"p": {"S": "a"}}}),
        ("put_item", {"Item": {"p": {"S": "a"}, "s": {"N": "1"}}}),
        ("put_item", {"Item": {"p": {"S": ""}, "s": {"S": "1"}}}),
        ("get_item", {"Key": {"p": {"S": "a"}}}),
        ("get_item", {"Key": key() | {"x": {"S": "1"}}}),
        ("get_item", {"Key": {"p": {"S": "a"}, "s": {"N": "1"}}}),
        ("get_item", {"Key": {"p": {"S": ""}, "s": {"S": "1"}}}),
        ("delete_item", {"Key": {"p": {"S": "a"}}}),
    ],
    "keys that are too long": [put("1", "x" * 2048), put("1", "x" * 2049), put("x" * 1024), put("x" * 1025)],
    "keys of an index that are none": [
        put(due=1),
        put(n="x"),
        put(due=""),
        put(due="d", n=1),
        update("SET due = :x", x=""),
        get(),
    ],
    "an update that puts a number into the key of an index": [
        put(due="d", n=1),
        update("SET due = :x", x=1),
        update("SET n = :x", x="x"),
    ],
    "an item of 400 KB": [put(x="x" * (409_600 - 5)), put(x="x" * (409_600 - 4)), update("SET y = :y", y="y")],
    "delete": [
        put(a=1),
        ("delete_item", {"Key": key(), "ReturnValues": "ALL_OLD", **_TOTAL}),
        ("delete_item", {"Key": key(), "ReturnValues": "ALL_OLD", **_TOTAL}),
        get(),
        put(a=1),
        ("delete_item", {"Key": key(), "ConditionExpression": "a = :a", **given_values({"a": 2}), **_OLD}),
        ("delete_item", {"Key": key("2"), "ConditionExpression": "a = :a", **given_values({"a": 2}), **_OLD}),
        ("delete_item", {"Key": key(), "ConditionExpression": "a = :a", **given_values({"a": 1})}),
        get(),
    ],
    "a conditional put": [
        ("put_item", {"Item": key(), "ConditionExpression": "attribute_not_exists(p)"}),
        ("put_item", {"Item": key(), "ConditionExpression": "attribute_not_exists(p)"}),
        ("put_item", {"Item": key(), "ConditionExpression": "attribute_not_exists(p)", **_OLD}),
        ("put_item", {"Item": key() | {"a": {"N": "1"}}, "ConditionExpression": "attribute_exists(p)"}),
        (
            "put_item",
            {
                "Item": key(),
                "ConditionExpression": "attribute_not_exists(p) OR (#a = :a AND b = :a)",
                "ExpressionAttributeNames": {"#a": "a"},
                **given_values({"a": 1}),
                **_OLD,
            },
        ),
        get(),
    ],
    "an update makes an item": [
        update("SET a = :a", a=1),
        get(),
        update("SET b = :a", "attribute_exists(p)", a=1, at="2"),
        update("REMOVE x", at="3"),
        get("3"),
        ("update_item", {"Key": key("4"), "ReturnValues": "ALL_NEW"}),
        get("4"),
        ("update_item", {"Key": key(), **_OLD}),
    ],
    "what an update returns": [
        put(a=1, b=2, m={"x": 1, "y": 2}),
        *(
            update("SET a = :a REMOVE b", more={"ReturnValues": wanted}, a=index)
            for index, wanted in enumerate(["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW", "OTHER"])
        ),
        update("SET x = :a", more={"ReturnValues": "ALL_OLD"}, at="2", a=1),
    ],
    "what an update of nothing returns": [
        put(a=1),
        update("SET fresh = :a", more={"ReturnValues": "UPDATED_OLD"}, a=1),
        update("REMOVE fresh", more={"ReturnValues": "UPDATED_NEW"}),
    ],
    "what an update of an element returns": [
        put(m={"x": 1, "y": 2}),
        update("SET m.x = :a", more={"ReturnValues": "UPDATED_OLD"}, a=2),
        update("SET m.x = :a", more={"ReturnValues": "UPDATED_NEW"}, a=3),
    ],
    "SET": [
        put(a=1, l=["x", "y"], m={"k": {}}),
        update("SET a = a + :a", a=2),
        update("SET a = :a - a", a=10),
        update("SET b = a, a = :a", a=0),
        update("SET c = if_not_exists(c, :a)", a=1),
        update("SET c = if_not_exists(c, :a) + :a", a=1),
        update("SET l = list_append(l, :l)", l=["z"]),
        update("SET l = list_append(:l, l)", l=["w"]),
        update("SET l[1] = :a, l[9] = :a", a="new"),
        update("SET m.k.d = :a", a=1),
        update("SET m.k = m", more=None),
        update("SET q = list_append(if_not_exists(q, :e), :l)", e=[], l=["z"]),
    ],
    **{
        f"refused: {expression}": [put(a=1, t="x", l=[1]), update(expression, **values), get()]
        for expression, values in REFUSED_UPDATES
    },
    "an empty update": [update("")],
    "an alias that nobody uses": [update("SET a = :a", more={"ExpressionAttributeNames": {"#a": "a"}}, a=1)],
    **{
        f"refused: {condition} {values}": [put(a=5, t="x", l=[1]), holds(condition, **values)]
        for condition, values in REFUSED_CONDITIONS
    },
    "REMOVE": [
        put(a=1, b=2, l=[1, 2, 3, 4], m={"k": 1, "j": 2}),
        update("REMOVE a, m.k"),
        update("REMOVE a, nothing"),
        update("REMOVE l[7]"),
        update("REMOVE m.nothing"),
        update("REMOVE l[0] SET l[1] = :a", a="x"),
        get(),
    ],
    "REMOVE of two places in a list": [put(l=[1, 2, 3, 4]), update("REMOVE l[0], l[2]")],
    "ADD": [
        put(a=1, t="x", ss={"a"}),
        update("ADD a :a", a=2),
        update("ADD fresh :a", a=2),
        update("ADD ss :s", s={"a", "b"}),
        update("ADD news :s", s={"b"}),
        update("ADD t :a", a=2),
        update("ADD ss :a", a=2),
        update("ADD t :t", t="x"),
        update("ADD ss :n", n={1, 2}),
        update("ADD a :a", a=-3),
        get(),
    ],
    "DELETE from sets": [
        put(ss={"a", "b", "c"}, a=1),
        update("DELETE ss :s", s={"a", "x"}),
        update("DELETE nothing :s", s={"a", "x"}),
        update("DELETE a :s", s={"a"}),
        update("DELETE ss :a", a=1),
        update("DELETE ss :s", s={"b", "c"}),
        get(),
    ],
    "a number that gets too long": [
        put_raw(a={"N": "1E37"}),
        update("ADD a :a", a=1),
        put_raw(a={"N": "1E38"}),
        update("ADD a :a", a=1),
        update("SET a = a + :a", a=1),
        get(),
    ],
    "conditions that compare": [
        put(a=5, t="mug", b=None, f=False),
        *(holds(f"a {sign} :a", a=value) for sign in ("=", "<>", "<", "<=", ">", ">=") for value in (4, 5, 6, "5")),
        *(holds(f"t {sign} :a", a=value) for sign in ("<", ">=") for value in ("mu", "mug", "é")),
        *(holds(f"nothing {sign} :a", a=1) for sign in ("=", "<>", "<", ">=")),
        *(holds(f"a {sign} :a", a=None) for sign in ("=", "<>")),
        holds("b = :a", a=None),
        holds("f = :a", a=False),
        holds(":a = :b", a=1, b=1),
        holds("a BETWEEN :a AND :b", a=1, b=5),
        holds("a BETWEEN :a AND :b", a=6, b=7),
        holds("nothing BETWEEN :a AND :b", a=1, b=2),
        holds("a IN (:a, :b)", a=1, b=5),
        holds("a IN (:a)", a="5"),
        holds("nothing IN (:a)", a=1),
        holds("a IN ()"),
    ],
    "conditions with functions": [
        put(a=5, t="mug", l=["x", 1], ss={"x"}, m={"k": {"j": 1}}),
        *(
            holds(f"attribute_exists({path})")
            for path in ("a", "nothing", "m.k", "m.k.j", "m.x", "l[0]", "l[2]", "a.b")
        ),
        *(holds(f"attribute_not_exists({path})") for path in ("a", "nothing", "m.x", "l[2]")),
        *(holds(f"attribute_type({path}, :k)", k=kind) for path in ("a", "t", "nothing") for kind in ("N", "S")),
        *(holds("begins_with(t, :a)", a=value) for value in ("mu", "x", "mugs", "", 1)),
        *(holds("contains(t, :a)", a=value) for value in ("ug", "x", 1)),
        *(holds("contains(l, :a)", a=value) for value in ("x", 1, "y")),
        *(holds("contains(ss, :a)", a=value) for value in ("x", "y", 1)),
        holds("contains(a, :a)", a=5),
        holds("contains(m, :a)", a="k"),
        *(holds(f"size({path}) = :a", a=value) for path, value in (("t", 3), ("l", 2), ("ss", 1), ("m", 1), ("a", 1))),
        holds("size(nothing) < :a", a=9),
        holds("size(m.k) = :a", a=1),
        holds("unknown(a)"),
        holds("attribute_exists(:a)", a=1),
    ],
    "size of a text with umlauts": [put(t="äöü"), holds("size(t) = :a", a=3), holds("size(t) = :a", a=6)],
    "conditions that are composed": [
        put(a=1, b=2),
        holds("a = :a AND b = :b", a=1, b=2),
        holds("a = :a AND b = :b", a=1, b=1),
        holds("a = :b OR a = :a AND b = :b", a=1, b=2),
        holds("(a = :b OR a = :a) AND b = :a", a=1, b=2),
        holds("NOT a = :a", a=1),
        holds("NOT a = :a", a=2),
        holds("NOT nothing = :a", a=2),
        holds("NOT (a = :a AND b = :a)", a=1),
        holds("not a = :b and b = :b", b=2),
        holds("NOT NOT a = :a", a=1),
        holds("a = :a AND", a=1),
        holds("a = :a b = :a", a=1),
        holds("a = :a)", a=1),
        holds("a", a=1),
    ],
    "conditions inside documents": [
        put(m={"k": 1, "l": [{"x": "y"}]}, l=[[1, 2]]),
        holds("m.k = :a", a=1),
        holds("m.l[0].x = :a", a="y"),
        holds("l[0][1] = :a", a=2),
        holds("#m.#k = :a", more={"ExpressionAttributeNames": {"#m": "m", "#k": "k"}}, a=1),
        holds("m = :a", a={"k": 1, "l": [{"x": "y"}]}),
        holds("m = :a", a={"l": [{"x": "y"}], "k": 1}),
        holds("m = :a", a={"k": 1}),
    ],
    "sets are equal in any order": [put(ss={"a", "b"}), holds("ss = :a", a={"b", "a"}), holds("ss = :a", a={"a"})],
    "reserved words": [
        put(status="x"),
        *(
            holds(f"{name} = :a", a="x")
            for name in ("status", "error", "number", "record", "scope", "trigger", "cursor")
        ),
        *(holds(f"{name} = :a", a="x") for name in ("call", "saves", "version", "sku", "finished_at")),
        holds("#s = :a", more={"ExpressionAttributeNames": {"#s": "status"}}, a="x"),
    ],
    "query": [
        *(put(s, due=f"d{9 - int(s)}", n=int(s)) for s in "12345"),
        put("3", "b", due="d1"),
        query("p = :p", p="a"),
        query("p = :p", more={"ScanIndexForward": False}, p="a"),
        *(query(f"p = :p AND s {sign} :s", p="a", s="3") for sign in ("=", "<", "<=", ">", ">=")),
        query("p = :p AND s BETWEEN :s AND :t", p="a", s="2", t="4"),
        query("s BETWEEN :s AND :t AND p = :p", p="a", s="2", t="4"),
        query("p = :p AND begins_with(s, :s)", p="a", s="3"),
        query("p = :p", p="nobody"),
        query("p = :p", more={"FilterExpression": "n > :n", **_TOTAL}, p="a", n=3),
        query("p = :p", more={"Limit": 2, "FilterExpression": "n > :n"}, p="a", n=1),
        query("p = :p", more={"Limit": 2, "ExclusiveStartKey": key("2")}, p="a"),
        query("p = :p", more={"Limit": 2, "ExclusiveStartKey": key("2"), "ScanIndexForward": False}, p="a"),
        query("p = :p", more={"Limit": 5}, p="a"),
        query("p = :p", more={"Limit": 6}, p="a"),
        query("p = :p", more={"ConsistentRead": True, **_TOTAL}, p="a"),
        query("p = :p", more={"Select": "COUNT"}, p="a"),
        query("p = :p", more={"ProjectionExpression": "s, n"}, p="a"),
    ],
    "query of an index": [
        *(put(s, due=f"d{9 - int(s)}", n=int(s)) for s in "123"),
        put("4"),
        query("p = :p", more={"IndexName": "due", **_TOTAL}, p="a"),
        query("p = :p AND due <= :d", more={"IndexName": "due"}, p="a", d="d7"),
        query("p = :p AND n > :n", more={"IndexName": "by-number"}, p="a", n=1),
        query("p = :p", more={"IndexName": "due", "Limit": 1}, p="a"),
        query("p = :p", more={"IndexName": "due", "ExclusiveStartKey": key("3") | {"due": {"S": "d6"}}}, p="a"),
        query("p = :p", more={"IndexName": "due", "ConsistentRead": True}, p="a"),
        query("p = :p", more={"IndexName": "unknown"}, p="a"),
        update("REMOVE due", at="2"),
        update("SET due = :d", at="4", d="d0"),
        ("delete_item", {"Key": key("1")}),
        query("p = :p", more={"IndexName": "due"}, p="a"),
    ],
    "numbers are sorted by value": [
        *(put(str(place), n=number) for place, number in enumerate([10, 9, -1, -10, 0, 100])),
        query("p = :p", more={"IndexName": "by-number"}, p="a"),
        query("p = :p AND n BETWEEN :a AND :b", more={"IndexName": "by-number"}, p="a", a=-5, b=10),
    ],
    "texts are sorted by their bytes": [
        *(put(s) for s in ("b", "B", "é", "z", "\U0001f600", "\uffee", "10", "9")),
        query("p = :p", p="a"),
    ],
    "queries that are none": [
        query("p > :p", p="a"),
        query("s = :p", p="a"),
        query("p = :p AND n = :n", p="a", n=1),
        query("p = :p AND s = :p AND s = :p", p="a"),
        query("p = :p", p=1),
        query("p = :p", more={"Limit": 0}, p="a"),
        ("query", {}),
    ],
    "a query of what is none": [
        query("p = :p AND s <> :p", p="a"),
        query("p = :p OR s = :p", p="a"),
        query("NOT p = :p", p="a"),
    ],
    "a filter on the key": [query("p = :p", more={"FilterExpression": "s = :p"}, p="a")],
    "the capacity of a query that finds nothing": [
        query("p = :p", more=_TOTAL, p="a"),
        scan({"IndexName": "due", **_TOTAL}),
    ],
    "a page of 1 MB": [
        *(put(s, x="x" * 300_000) for s in "12345"),
        query("p = :p", more={"Select": "COUNT", **_TOTAL}, p="a"),
    ],
    "the rest of a large partition": [
        *(put(s, x="x" * 300_000) for s in "12345"),
        query("p = :p", more={"Select": "COUNT", "ExclusiveStartKey": key("3"), **_TOTAL}, p="a"),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key(s) for s in "125"]}}, **_TOTAL}),
    ],
    "scan": [
        *(put(s, p, n=int(s)) for s in "12" for p in "abc"),
        scan(),
        scan({"FilterExpression": "n = :n", **_TOTAL}, n=1),
        scan({"FilterExpression": "p = :p"}, p="a"),
        scan({"IndexName": "by-number", **_TOTAL}),
        scan({"IndexName": "due"}),
        scan({"IndexName": "due", "ConsistentRead": True}),
        scan({"Segment": 0, "TotalSegments": 1, "ConsistentRead": True, **_TOTAL}),
        scan({"Segment": 1, "TotalSegments": 1}),
        scan({"Segment": 1}),
        scan({"Limit": 6, "Select": "COUNT"}),
        scan({"Limit": 7}),
    ],
    "batch get": [
        put("1", a=1),
        put("2", a=2),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key("1"), key("2"), key("3")]}}}),
        (
            "batch_get_item",
            {"RequestItems": {TABLE: {"Keys": [key("1"), key("3")], "ConsistentRead": True}}},
        ),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key("1"), key("2")]}}, **_TOTAL}),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key("1"), key("1")]}}}),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key(str(n)) for n in range(100)]}}}),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key(str(n)) for n in range(101)]}}}),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": []}}}),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [{"p": {"S": "a"}}]}}}),
        ("batch_get_item", {"RequestItems": {"nowhere": {"Keys": [key()]}}}),
    ],
    "the capacity of a batch that finds nothing": [
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key("1"), key("3")]}}, **_TOTAL}),
    ],
    "batch write": [
        ("batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": {"Item": key(s)}} for s in "123"]}, **_TOTAL}),
        (
            "batch_write_item",
            {
                "RequestItems": {
                    TABLE: [{"PutRequest": {"Item": key("4")}}, {"DeleteRequest": {"Key": key("2")}}],
                }
            },
        ),
        query("p = :p", p="a"),
        ("batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": {"Item": key()}}] * 2}}),
        (
            "batch_write_item",
            {"RequestItems": {TABLE: [{"PutRequest": {"Item": key(str(n))}} for n in range(26)]}},
        ),
        ("batch_write_item", {"RequestItems": {TABLE: []}}),
        ("batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": {"Item": {"p": {"S": "a"}}}}]}}),
        query("p = :p", p="a"),
    ],
    "no such table": [
        ("get_item", {"TableName": "nowhere", "Key": key()}),
        ("put_item", {"TableName": "nowhere", "Item": key()}),
        ("query", {"TableName": "nowhere", "KeyConditionExpression": "p = :p", **given_values({"p": "a"})}),
        batch({"Statement": "UPDATE \"nowhere\" SET a=1 WHERE p='a' AND s='1'"}),
    ],
    "statements that update": [
        put(a=1, b=2, m={"k": 1, "j": 2}),
        one(f'UPDATE T SET "a"=? {WHERE} AND "a"=?', 2, "a", "1", 1),
        one(f'UPDATE T SET "a"=? {WHERE} AND "a"=?', 3, "a", "1", 1),
        one(f'UPDATE T SET "a"=? {WHERE} AND "c" IS MISSING', 4, "a", "1"),
        one(f'UPDATE T SET "a"=? {WHERE} AND "b" IS MISSING', 5, "a", "1"),
        one(f'UPDATE T SET "a"=? {WHERE} AND "b" IS NOT MISSING', 6, "a", "1"),
        one(f'UPDATE T SET "c"=? SET "d"=? REMOVE "b" REMOVE "nothing" {WHERE}', 7, 8, "a", "1"),
        one(f'UPDATE T SET "m"."k"=? REMOVE "m"."j" {WHERE}', 9, "a", "1"),
        one(f"UPDATE T SET m.k=? {WHERE} AND m.k=?", 10, "a", "1", 9),
        one(f"UPDATE T SET m.k=? {WHERE} AND m.k=?", 11, "a", "1", 9),
        get(),
        one(f'UPDATE T SET "a"=? {WHERE}', 1, "a", "nobody"),
        get("nobody"),
        batch(statement(f'UPDATE T SET "a"=? {WHERE} AND "a"=?', 3, "a", "1", 99, old=False)),
    ],
    "statements that compute": [
        put(a=1, l=[1], ss={"x"}),
        one(f"UPDATE T SET a = a + ? {WHERE}", 2, "a", "1"),
        one(f"UPDATE T SET a = a - ? {WHERE}", 5, "a", "1"),
        one(f"UPDATE T SET ss = set_add(ss, ?) {WHERE}", {"y"}, "a", "1"),
        one(f"UPDATE T SET ss = set_delete(ss, ?) {WHERE}", {"x"}, "a", "1"),
        one("UPDATE T SET b = 'it''s' WHERE p = 'a' AND s = '1' AND a = -2"),
        get(),
    ],
    "a statement that appends to a list": [
        put(l=[1]),
        one(f"UPDATE T SET l = list_append(l, ?) {WHERE}", [2], "a", "1"),
        get(),
    ],
    "a statement with an OR": [put(a=5), one(f"UPDATE T SET q = ? {WHERE} AND (a = ? OR a = ?)", 1, "a", "1", 1, 5)],
    "a statement that changes the key": [put(), one('UPDATE T SET "s"=? WHERE "p"=? AND "s"=?', "2", "a", "1"), get()],
    "conditions of statements": [
        put(a=5, t="mug", z=None),
        *(
            one(f"UPDATE T SET q = ? {WHERE} AND {condition}", 1, "a", "1", *values)
            for condition, *values in (
                ("a > ?", 4),
                ("a > ?", 5),
                ("a <> ?", 5),
                ("a BETWEEN ? AND ?", 1, 5),
                ("a IN (?, ?)", 1, 5),
                ("a = ?", "5"),
                ("z = ?", None),
                ("begins_with(t, ?)", "mu"),
                ("contains(t, ?)", "x"),
                ("NOT a = ?", 5),
                ("attribute_type(a, ?)", "N"),
            )
        ),
    ],
    "values that are written out": [
        put(a=5, z=None, m={"k": 1}, l=[1]),
        *(
            one(f"UPDATE T {change} WHERE p='a' AND s='1' AND {condition}")
            for change, condition in (
                ("SET r = {'a': [1, 'x', null, true], 'b': {}, 'c': []}", "m = {'k': 1}"),
                ("SET r = <<'x', 'y'>>", "l = [1]"),
                ("SET r = <<1, 2>>", "l = [2]"),
                ("SET n = 1, m.j = -1.5", "a = 5.0"),
            )
        ),
        get(),
        one("INSERT INTO T VALUE {'p':'a','s':'7','m':{'k':[1,'x']}}"),
        get("7"),
    ],
    "a number that is written out with a zero at its end": [
        put(),
        one("UPDATE T SET n = -1.50 WHERE p='a' AND s='1'"),
        get(),
    ],
    "conditions and changes of statements that are rare": [
        put(a=5, z=None, m={"k": 1}, l=[1]),
        *(
            one(f"UPDATE T SET q = 1 WHERE p='a' AND s='1' AND {condition}")
            for condition in (
                "z IS NULL",
                "x IS NULL",
                "a IS NULL",
                "x IS NOT NULL",
                "z IS MISSING",
                "a != 5",
                "5 = a",
                "size(m) = 1",
                "attribute_exists(a)",
                "attribute_not_exists(a)",
                "a = a",
                "a < 'x'",
                "a BETWEEN 7 AND 6",
                "m.k = 1",
                "l[0] = 1",
                "((a = 5))",
            )
        ),
        *(
            one(f"UPDATE T {change} WHERE p='a' AND s='1'")
            for change in (
                "SET r = if_not_exists(r, 2)",
                "SET r = r + 1 + 1",
                "SET r = x",
                "SET r = x + 1",
                "SET l[9] = 3",
                "REMOVE l[0]",
                "REMOVE m.nothing_there",
                "REMOVE x.y",
                "SET r = 1 REMOVE r",
            )
        ),
        get(),
    ],
    "what a statement says of what is missing": [
        put(a=5),
        one(f"UPDATE T SET q = ? {WHERE} AND x = ?", 1, "a", "1", 1),
        one(f"UPDATE T SET q = ? {WHERE} AND x < ?", 1, "a", "1", 1),
        one(f"UPDATE T SET q = ? {WHERE} AND x <> ?", 1, "a", "1", 1),
        one(f"UPDATE T SET q = ? {WHERE} AND NOT x = ?", 1, "a", "1", 1),
    ],
    "statements that insert": [
        one("INSERT INTO T VALUE {'p': ?, 's': ?, 'a': ?}", "a", "1", {"x": [1]}),
        one("INSERT INTO T VALUE {'p': ?, 's': ?}", "a", "1"),
        get(),
        one("INSERT INTO T VALUE {'p': 'a', 's': '2', 'n': 5}"),
        get("2"),
    ],
    "statements that delete": [
        put(a=1),
        one(f"DELETE FROM T {WHERE} AND a = ?", "a", "1", 2),
        get(),
        one(f"DELETE FROM T {WHERE} AND a = ?", "a", "1", 1),
        get(),
        one(f"DELETE FROM T {WHERE} AND a = ?", "a", "1", 1),
    ],
    "a batch of statements": [
        put("1", a=1),
        put("2", a=2),
        batch(
            statement(f"UPDATE T SET a=? {WHERE} AND a=?", 9, "a", "1", 1),
            statement(f"UPDATE T SET a=? {WHERE} AND a=?", 9, "a", "2", 1),
            statement("INSERT INTO T VALUE {'p': ?, 's': ?}", "a", "3"),
            statement(f"UPDATE T SET a=? {WHERE}", 9, "a", "4"),
        ),
        query("p = :p", p="a"),
    ],
    "a batch that names an item twice": [
        put(a=1),
        batch(statement(f"UPDATE T SET a=? {WHERE}", 2, "a", "1"), statement(f"UPDATE T SET b=? {WHERE}", 2, "a", "1")),
        get(),
    ],
    "batches that are too large or empty": [
        batch(*(statement("INSERT INTO T VALUE {'p': ?, 's': ?}", "a", str(n)) for n in range(25))),
        batch(*(statement("INSERT INTO T VALUE {'p': ?, 's': ?}", "b", str(n)) for n in range(26))),
        batch(),
        query("p = :p", more={"Select": "COUNT"}, p="a"),
        query("p = :p", more={"Select": "COUNT"}, p="b"),
    ],
    "statements without the whole key": [
        put(a=1),
        one('UPDATE T SET a=? WHERE "p"=?', 2, "a"),
        one('UPDATE T SET a=? WHERE "p"=? AND "s">?', 2, "a", "0"),
        get(),
    ],
    "a statement that sets one place twice": [
        put(a=1),
        one(f"UPDATE T SET a=? SET a=? {WHERE}", 2, 3, "a", "1"),
        get(),
    ],
    "a statement with too few parameters": [put(a=1), one(f"UPDATE T SET a=? {WHERE}", 2, "a"), get()],
    "a statement that is none": [one("UPDATE T a=?", 1), one("nonsense"), get()],
    "a statement that puts a number into the key of an index": [
        put(due="d"),
        one(f"UPDATE T SET due=? {WHERE}", 1, "a", "1"),
        get(),
    ],
    "a statement below nothing": [put(a=1), one(f"UPDATE T SET m.k=? {WHERE}", 2, "a", "1"), get()],
    "capacity of writes": [
        put(x="x" * 1000),
        put(x="x" * 2000),
        put(x="x"),
        put(x="x", due="d1", n=1),
        *(
            update(expression, more=_TOTAL, **values)
            for expression, values in (
                ("SET due = :d", {"d": "d2"}),
                ("SET x = :x", {"x": "y"}),
                ("REMOVE due", {}),
                ("SET n = :n", {"n": 2}),
                ("REMOVE n", {}),
                ("SET n = :n, due = :d", {"n": 2, "d": "d3"}),
                ("SET n = :n", {"n": 2}),
            )
        ),
        ("delete_item", {"Key": key(), **_TOTAL}),
    ],
    "capacity of reads": [
        put("1", x="x" * 4000),
        put("2", x="x" * 5000),
        get("1", **_TOTAL),
        get("2", **_TOTAL),
        ("get_item", {"Key": key("2"), **_TOTAL}),
        query("p = :p", more=_TOTAL, p="a"),
        query("p = :p", more={"ConsistentRead": True, **_TOTAL}, p="a"),
        scan({"ConsistentRead": True, **_TOTAL}),
        ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key("1"), key("2")]}}, **_TOTAL}),
    ],
    "a transaction whose conditions hold": [
        put("1", a=1),
        transaction(
            ("ConditionCheck", "2", {"ConditionExpression": "attribute_not_exists(p)"}),
            ("Update", "1", _SETS_TO_2 | {"ConditionExpression": "a = :one", **given_values({"one": 1, "two": 2})}),
        ),
        get("1"),
        get("2"),
    ],
    "a transaction that makes an item": [
        transaction(("Update", "1", _SETS_TO_2 | given_values({"two": 2}))),
        get("1"),
    ],
    "a transaction of which one condition fails": [
        put("1", a=1),
        put("2", a=1),
        transaction(
            ("ConditionCheck", "2", {"ConditionExpression": "attribute_not_exists(p)"}),
            ("Update", "1", _SETS_TO_2 | {"ConditionExpression": "a = :one", **given_values({"one": 1, "two": 2})}),
        ),
        transaction(
            ("ConditionCheck", "3", {"ConditionExpression": "attribute_not_exists(p)"}),
            ("Update", "1", _SETS_TO_2 | {"ConditionExpression": "a = :one", **given_values({"one": 7, "two": 2})}),
        ),
        get("1"),
        get("2"),
    ],
    "a transaction that names an item twice, or none": [
        put("1", a=1),
        transaction(
            ("ConditionCheck", "1", {"ConditionExpression": "attribute_exists(p)"}),
            ("Update", "1", _SETS_TO_2 | given_values({"two": 2})),
        ),
        transaction(),
        get("1"),
    ],
}

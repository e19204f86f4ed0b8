"""What steps may return, stored without loss and built again."""

import dataclasses
import enum
import math
import sys
import threading
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import values
from stepwell.errors import NotSerialisable, UnfitValue, UnreadableValue
from stepwell.values import Classes


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    name: str
    price: Decimal = Decimal(0)


@dataclasses.dataclass
class Basket:
    items: list[Item]
    total: Decimal = dataclasses.field(init=False)
    tags: set[str] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        self.total = sum((item.price for item in self.items), Decimal(0))


class Stamp(msgspec.Struct, frozen=True):
    at: datetime
    by: str = "nobody"


@attrs.frozen
class Size:
    width: int
    height: int = 5


class Customer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    born: date | None = None


class Row(TypedDict):
    n: int


class Outer:
    @dataclasses.dataclass
    class Inner:
        n: int


OWN = Classes(lambda: [sys.modules[__name__]])

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=8)
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(ZoneInfo("Europe/Berlin")))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from([Colour.RED, Level.HIGH, Right.READ, Right.READ | Right.WRITE])
)
HASHABLE = st.integers() | TEXT | st.dates() | st.sampled_from([Colour.RED, Point(1, 2)])
KEYS = HASHABLE | st.just("$")
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.sets(HASHABLE, max_size=3)
        | st.frozensets(HASHABLE, max_size=3)
        | st.builds(Item, name=TEXT, price=st.decimals(allow_nan=False))
        | st.builds(Stamp, at=st.datetimes(), by=TEXT)
        | st.builds(Size, width=st.integers())
        | st.builds(Customer, name=TEXT, born=st.dates())
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, types included, at each level."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return all(same(a, b) for a, b in zip(one.items(), other.items(), strict=True))
    if isinstance(one, list | tuple):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, set | frozenset):
        return {(type(item), item) for item in one} == {(type(item), item) for item in other}
    return True


# ---- there and back


@given(VALUES)
def test_value_comes_back_as_it_was(value: Any) -> None:
    """Every storable value is equal after storing, with the same types at each level."""
    assert same(values.decode(values.encode(value, "result", OWN), OWN), value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(bytearray(b"ab"), id="bytearray"),
        pytest.param(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")), id="second 2:30"),
        pytest.param(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))), id="offset"),
        pytest.param(time(12, 30, tzinfo=UTC), id="time with an offset"),
        pytest.param(Decimal("1.10"), id="digits of a decimal"),
        pytest.param(Basket([Item(name="book", price=Decimal(5))], {"new"}), id="nested dataclasses"),
        pytest.param(Outer.Inner(5), id="class in a class"),
        pytest.param(math.inf, id="infinity"),
        pytest.param({"$": "bytes", "v": "YQ=="}, id="dict that looks like a form"),
        pytest.param({"a": {"$": 1}}, id="dict with the key of forms"),
        pytest.param({1: "a", None: "b", (1, 2): "c"}, id="keys that are no text"),
        pytest.param(((((),),),), id="tuples"),
        pytest.param([{"x": Point(1, 2)}], id="named tuple"),
    ],
)
def test_odd_value_comes_back_as_it_was(value: Any) -> None:
    """Nothing of a value is lost or changed."""
    again = values.decode(values.encode(value, "result", OWN), OWN)

    assert same(again, value)
    if isinstance(value, datetime):
        assert isinstance(again, datetime)
        assert (again.utcoffset(), again.fold) == (value.utcoffset(), value.fold)


def test_not_a_number_comes_back() -> None:
    """NaN is stored as such."""
    assert math.isnan(values.decode(values.encode([float("nan")]))[0])


def test_plain_value_is_stored_as_its_json() -> None:
    """What JSON can say is stored as people read it."""
    assert values.encode({"a": [1, 2.5, None, True, "é"]}) == '{"a":[1,2.5,null,true,"é"]}'


def test_model_keeps_what_was_set_and_what_is_extra() -> None:
    """A pydantic model comes back with the same fields set, and with its extra ones."""
    again = values.decode(values.encode(Customer(name="ann", age=5), "result", OWN), OWN)  # type: ignore[call-arg]  # pydantic makes its signature at run time

    assert again.model_fields_set == {"name", "age"}
    assert again.model_dump() == {"name": "ann", "born": None, "age": 5}


def test_object_is_built_without_its_init() -> None:
    """State is put back; what `__post_init__` did once is not done again."""
    basket = Basket([Item(name="book", price=Decimal(5))])
    basket.total = Decimal(99)

    assert values.decode(values.encode(basket, "result", OWN), OWN).total == Decimal(99)


def test_deepest_value_of_forms_comes_back() -> None:
    """A list nested 256 deep is stored and read, and a tuple, which takes two levels of JSON, 128."""
    for depth, wrap in ((255, lambda inner: [inner]), (128, lambda inner: (inner,))):
        value: Any = b""
        for _ in range(depth):
            value = wrap(value)

        assert values.decode(values.encode(value)) == value
        with pytest.raises(NotSerialisable, match="nested"):
            values.encode([wrap(value)] * 2 if depth == 128 else wrap(wrap(value)))


# ---- refusals


class Socket:
    pass


@dataclasses.dataclass
class Holder:
    client: Any


def _local() -> object:
    """Return an object of a class that no module has."""

    @dataclasses.dataclass
    class Local:
        n: int

    return Local(1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            {"items": [1, Holder(Socket())]},
            'result["items"][1].client is not serialisable: Socket is not storable.',
            id="in an object",
        ),
        pytest.param(lambda: 1, "result is not serialisable: function is not storable.", id="function"),
        pytest.param(iter([]), "result is not serialisable: list_iterator is not storable.", id="iterator"),
        pytest.param({1: {Socket()}}, "result[1][0] is not serialisable: Socket is not storable.", id="in a set"),
        pytest.param(
            _local(),
            "result is not serialisable: the class Local is defined inside a function; define it in the module.",
            id="local class",
        ),
        pytest.param(
            timezone,
            "result is not serialisable: type is not storable.",
            id="class itself",
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_place(value: object, message: str) -> None:
    """The refusal leads to the part at fault and says why."""
    with pytest.raises(NotSerialisable) as refused:
        values.encode(value, "result", OWN)

    assert str(refused.value) == message


def test_class_of_another_module_is_refused_with_the_remedy() -> None:
    """It could not be built again; an annotation makes it known."""
    with pytest.raises(NotSerialisable, match="not of the script's own modules; annotate the step's function"):
        values.encode(Stamp(datetime(2026, 1, 1, tzinfo=UTC)))

    text = values.encode(Stamp(datetime(2026, 1, 1, tzinfo=UTC)), "result", values.NO_CLASSES.plus(list[Stamp] | None))
    assert values.decode(text, values.NO_CLASSES.plus(Stamp)) == Stamp(datetime(2026, 1, 1, tzinfo=UTC))


def test_annotation_leads_to_the_classes_of_its_fields() -> None:
    """Naming the outer class is enough."""
    known = values.NO_CLASSES.plus(Basket)
    basket = Basket([Item(name="book")])

    assert values.decode(values.encode(basket, "result", known), known) == basket


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"$":"object","c":"os:system","v":{}}', id="function of a module"),
        pytest.param('{"$":"object","c":"subprocess:Popen","v":{"args":"ls"}}', id="class of a module"),
        pytest.param('{"$":"object","c":"tests.core.test_stored_values:Socket","v":{}}', id="class without fields"),
        pytest.param('{"$":"enum","c":"tests.core.test_stored_values:Item","v":"name"}', id="class of another form"),
        pytest.param('{"$":"named","c":"tests.core.test_stored_values:Item","v":[]}', id="no named tuple"),
    ],
)
def test_no_class_is_made_of_a_stored_name(text: str) -> None:
    """Only storable classes of the table are built, whatever the stored text says."""
    with pytest.raises(UnreadableValue, match="has no such class any more"):
        values.decode(text, OWN)


def test_nothing_is_imported_because_of_what_is_stored() -> None:
    """A name of a module that is not loaded does not load it."""
    with pytest.raises(UnreadableValue):
        values.decode('{"$":"object","c":"this:s","v":{}}', OWN)

    assert "this" not in sys.modules


@pytest.mark.parametrize("text", ['{"$":"bytes"}', '{"$":"decimal","v":"x"}', '{"$":"tuple","v":5}', '{"$":"future"}'])
def test_text_that_is_no_value_of_ours_is_refused(text: str) -> None:
    """A form that is incomplete or unknown is an error that says so, never a wrong value."""
    with pytest.raises(UnreadableValue):
        values.decode(text)


def test_annotations_of_functions_made_by_one_factory_are_their_own() -> None:
    """What one names is not taken for what the other does."""

    def make(kind: type) -> Any:
        def function() -> Any: ...

        function.__annotations__["return"] = kind
        return function

    assert [values.annotation_of(make(kind)) for kind in (Item, Basket)] == [Item, Basket]


# ---- classes that have changed


def _shop(source: str) -> Classes:
    module = ModuleType("shop")
    exec(f"import dataclasses, enum\nfrom typing import *\n{source}", vars(module))
    return Classes(lambda: [module])


def _stored(source: str, made: str) -> str:
    shop = _shop(source)
    (module,) = shop._modules()
    return values.encode([eval(made, vars(module))], "result", shop)


BEFORE = "@dataclasses.dataclass\nclass Order:\n    item: str\n    cents: int = 5\n"


@pytest.mark.parametrize(
    ("after", "message"),
    [
        pytest.param("", "result[0] cannot be read: it is a shop:Order, and the script has no such class", id="gone"),
        pytest.param(
            BEFORE + "    colour: str = dataclasses.field(kw_only=True)\n",
            "result[0] cannot be read: shop:Order has a field colour without a default, and none is stored; give it",
            id="new field",
        ),
        pytest.param(
            "@dataclasses.dataclass\nclass Order:\n    item: int\n    cents: int\n",
            "result[0].item cannot be read: str is stored, and shop:Order wants int; give the class back",
            id="other type",
        ),
    ],
)
def test_value_that_no_longer_fits_its_class_says_so(after: str, message: str) -> None:
    """The error names the place, what is stored, and the remedy."""
    text = _stored(BEFORE, "Order('book')")

    with pytest.raises(UnreadableValue) as refused:
        values.decode(text, _shop(after))

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("after", "members"),
    [
        pytest.param(BEFORE + "    colour: str = 'red'\n", ["book", 5, "red"], id="new field with a default"),
        pytest.param("@dataclasses.dataclass\nclass Order:\n    item: Optional[str]\n", ["book"], id="field dropped"),
        pytest.param(
            "@dataclasses.dataclass\nclass Order:\n    item: Literal['book']\n    cents: float\n",
            ["book", 5],
            id="wider type",
        ),
    ],
)
def test_class_may_grow(after: str, members: list[Any]) -> None:
    """New fields with defaults, dropped fields and wider types read what is stored."""
    (order,) = values.decode(_stored(BEFORE, "Order('book')"), _shop(after))

    assert list(dataclasses.astuple(order)) == members


def test_member_of_an_enum_that_is_gone_says_so() -> None:
    """The error names class and member."""
    text = _stored("class Colour(enum.Enum):\n    RED = 1\n", "Colour.RED")

    with pytest.raises(UnreadableValue, match=r"result\[0\] .* shop:Colour has no member 'RED' any more"):
        values.decode(text, _shop("class Colour(enum.Enum):\n    BLUE = 1\n"))


# ---- for people


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param({"a": 1}, '{"a":1}', id="plain"),
        pytest.param({"b": b"abcd"}, '{"b":"[bytes(4)]"}', id="bytes"),
        pytest.param(datetime(2026, 1, 1, 12, tzinfo=UTC), '"2026-01-01T12:00:00+00:00"', id="datetime"),
        pytest.param((1, {2}), "[1,[2]]", id="tuple and set"),
        pytest.param(Item(name="a", price=Decimal("1.50")), '{"name":"a","price":"1.50"}', id="object"),
        pytest.param([Colour.RED, Right.READ], '["RED","READ"]', id="enum"),
        pytest.param({1: 2}, '{"1":2}', id="key"),
        pytest.param({"$": 1}, '{"$":1}', id="dict that looks like a form"),
        pytest.param(timedelta(hours=1), '"3600 s"', id="timedelta"),
    ],
)
def test_people_see_ordinary_json(value: Any, shown: str) -> None:
    """Nothing of how a value is stored is to be seen in logs."""
    assert values.readable(values.encode(value, "result", OWN)) == shown


# ---- params


@dataclasses.dataclass
class Order:
    item: str
    due: date
    kind: Literal["new", "used"] = "new"


@pytest.mark.parametrize(
    ("wanted", "plain", "typed"),
    [
        pytest.param(Order, {"item": "a", "due": "2026-01-02"}, Order("a", date(2026, 1, 2)), id="dataclass"),
        pytest.param(
            list[Stamp], [{"at": "2026-01-02T00:00:00Z"}], [Stamp(datetime(2026, 1, 2, tzinfo=UTC))], id="struct"
        ),
        pytest.param(Size, {"width": 5}, Size(5), id="attrs"),
        pytest.param(Customer, {"name": "a"}, Customer(name="a"), id="pydantic"),
        pytest.param(Row, {"n": 1}, {"n": 1}, id="TypedDict"),
        pytest.param(UUID, str(UUID(int=5)), UUID(int=5), id="scalar"),
    ],
)
def test_params_become_their_type(wanted: Any, plain: Any, typed: Any) -> None:
    """Plain JSON is made the class that the workflow names, and has a schema."""
    assert values.convert(plain, wanted, "params") == typed
    assert values.schema(wanted)


@pytest.mark.parametrize(
    ("wanted", "plain", "message"),
    [
        pytest.param(Order, {"item": 5, "due": "2026-01-02"}, "params.item: Expected `str`, got `int`", id="type"),
        pytest.param(Order, {"item": "a"}, "params: Object missing required field `due`", id="missing"),
        pytest.param(list[Row], [{"n": 1}, {"n": "x"}], "params[1].n: Expected `int`, got `str`", id="item"),
        pytest.param(Customer, {"name": 5}, "params.name: Input should be a valid string", id="pydantic"),
        pytest.param(Socket, {}, "params", id="no type for JSON"),
    ],
)
def test_params_that_do_not_fit_say_where(wanted: Any, plain: Any, message: str) -> None:
    """The error leads to the part at fault."""
    with pytest.raises(UnfitValue) as refused:
        values.convert(plain, wanted, "params")

    assert str(refused.value).startswith(message)


def test_what_has_no_schema_has_none() -> None:
    """A type that JSON Schema cannot say is checked when the instance begins."""
    assert values.schema(Any) is None
    assert values.schema(Socket) is None


def test_typed_params_are_said_in_plain_json() -> None:
    """A parent may give what the child wants."""
    order = Order("a", date(2026, 1, 2))

    assert values.encode_json(order) == '{"item":"a","due":"2026-01-02","kind":"new"}'
    assert values.encode_json([Customer(name="a")]) == '[{"name":"a","born":null}]'


def test_table_of_classes_is_whole_for_whoever_asks_while_it_is_filled() -> None:
    """Bodies in threads ask for classes, too: one that comes second finds its own as the first does."""
    found: list[str | None] = []

    class Asking(ModuleType):
        """A module at which somebody else asks while it is looked through."""

        has_asked = False

        @property
        def __name__(self) -> str:  # type: ignore[override]  # a module's name is looked at for each of its classes
            if not self.has_asked:
                self.has_asked = True
                other = threading.Thread(target=lambda: found.append(classes.name_of(Colour)))
                other.start()
                other.join()
            return Colour.__module__

    module = Asking("asking")
    module.__dict__["Colour"] = Colour
    classes = Classes(lambda: [module])

    assert classes.name_of(Colour) is not None
    assert found == [classes.name_of(Colour)]

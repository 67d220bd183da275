"""The picture of the results."""

from xml.etree import ElementTree

from benchmarks.figures import Entry
from benchmarks.peers import LOOP, PRODUCT
from benchmarks.plot import picture


def test_every_peer_has_a_bar_as_long_as_it_costs_and_every_growth_a_line() -> None:
    costs = {LOOP: 900.0, PRODUCT: 45.0, "R&D's <own>": 90.0}
    sizes = {1_000: 0.2, 1_000_000: 40.0}
    entries = [Entry("end_to_end", "instant", name, "cpu_us_per_item", cost, None) for name, cost in costs.items()]
    entries += [
        Entry("growth_items", "instant", PRODUCT, "wall_seconds", seconds, None, f"{size:,} items")
        for size, seconds in sizes.items()
    ]

    drawn = ElementTree.fromstring(picture(entries))  # made here

    tag = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in drawn.findall(f"{tag}rect")[1:]]
    assert widths == [10.0, 20.0, 200.0]
    texts = [text.text for text in drawn.findall(f"{tag}text")]
    assert {*costs, "45 (20.0x)", "1,000", "1,000,000"} <= set(texts)
    assert len(drawn.findall(f"{tag}polyline")) == 1


def test_without_results_there_are_only_axes() -> None:
    assert "polyline" not in picture([])

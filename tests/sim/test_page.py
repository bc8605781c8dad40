import json
import math
import re

from matplotlib.patches import Circle

from sim.drawing import drawn, svg_of
from sim.page import figure, page, paragraph, section, table

HOSTILE = "</script><b> <!--<script> \udcff"
"""Ends an element, keeps another from ending, and is no text in the name of a file."""


def a_page() -> str:
    with drawn(4, 2) as (made, axes):
        axes.plot([0, 1], [0, 1], label="slack")
        axes.set_xlabel("time [s]")
    return page(
        "A <load> & its plan",
        [
            section("Cuts", paragraph("1 < 2"), figure(svg_of(made, 'a "line"'), "It rises.")),
            section("Tasks", table(["Task", ">Slack [s]"], [["<b>", "3"]], caption="All")),
        ],
        {"command": "slackwater plan", "inputs": {"text": HOSTILE, "rest": math.nan}},
    )


def test_a_page_asks_nothing_of_anybody_and_runs_no_script() -> None:
    text = a_page()
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    assert set(re.findall(r"<script type=\"([^\"]*)\"", text)) == {"application/json"}
    assert "@import" not in text
    assert "url(" not in text.replace("url(#", "")


def test_what_people_wrote_cannot_become_markup() -> None:
    text = a_page()
    assert "<title>A &lt;load&gt; &amp; its plan</title>" in text
    assert "<td>&lt;b&gt;</td>" in text
    assert "</script><b>" not in text


def test_what_it_was_made_of_can_be_read_back() -> None:
    found = re.search(r'id="inputs">\n(.*?)\n</script>', a_page(), re.DOTALL)
    assert found
    assert json.loads(found[1]) == {"text": HOSTILE, "rest": None}
    assert page(HOSTILE, [], {}).encode()


def test_what_is_clipped_by_a_shape_is_drawn_the_same_each_time() -> None:
    def drawing() -> str:
        with drawn(4, 2) as (made, axes):
            axes.axvspan(0.2, 0.4).set_clip_path(axes.patch)
            axes.plot([0, 1], [0, 1])[0].set_clip_path(Circle((0.5, 0.5), 0.3))
            axes.fill([0.1, 0.5, 0.9], [0.1, 0.9, 0.1])[0].set_clip_path(Circle((0.2, 0.2), 0.1))
            return svg_of(made, "shapes")

    kept = [drawing() for _ in range(8)]  # kept, so that none stands where the last one stood
    assert len(set(kept)) == 1
    named, used = (re.findall(way, kept[0]) for way in (r'id="(clip-\w+)"', r"url\(#([^)]*)\)"))
    assert len(set(named)) == len(named) > 2
    assert set(used) == set(named)


def test_a_drawing_takes_the_colour_of_the_page_and_is_the_same_each_time() -> None:
    text = a_page()
    assert 'role="img" aria-label="a &quot;line&quot;"' in text
    assert "currentColor" in text
    assert "#000000" not in text
    assert text == a_page()

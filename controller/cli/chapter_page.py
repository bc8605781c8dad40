"""The chapter's experiments as one page, for a reader who has not read the chapter."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from html import escape

from controller.build import BUILD
from controller.cli.chapter_claim import Claim
from controller.cli.chapter_hundred import (
    CASE_COLUMNS,
    STATIC_COLUMNS,
    case_rows,
    static_rows,
)
from controller.cli.chapter_study import Study
from controller.cli.chapter_told import (
    COVER,
    claims,
    speed_up_columns,
    speed_up_rows,
    table_1_columns,
    table_1_rows,
)
from controller.cli.pages import command_line
from sim.chapter.figures import growth_figure, speed_up_figure, windows_figure
from sim.chapter.profiles import Profiles
from sim.chapter.scaling import DYNAMIC, NONE, PREFIX, PREFIX_2, STATIC, Hundred, Played
from sim.chapter.scaling_figures import surface_figure, ttd_figure
from sim.chapter.speed_up import SEEDS, Handing
from sim.page import figure, page, paragraph, section, table

ABOUT = (
    "Argo is a fleet of some four thousand robotic floats that measure the world's oceans. Its"
    " archive grows by hundreds of profiles a day, and researchers subscribe to views of it: an"
    " area, a time range, parameters, and a deadline. A chapter of 2020 (doi"
    " 10.1007/978-3-030-52829-4_16) asked how such subscriptions are cut into parts for several"
    " machines, and when machines are to be added so that deadlines are met. Slackwater grew out of"
    " it. This page repeats its experiments on the real index of the archive, with the planner and"
    " the strategies that run live.",
)

ABOUT_TABLE_1 = (
    "What makes a request take long? The chapter ran 550 requests and correlated their time with"
    " what they ask for. It prints 0.93 for the length of the time window and 0.65 for where it"
    " ends, and says that area and number of parameters show no strong relationship. Here 550"
    " windows are drawn for each design, and their times are predicted from the profiles that the"
    " index says they match.",
    "The chapter's shape is there where one area is asked for over all of Argo's years: a longer"
    " window holds more, and as the archive grew until about 2007, a later one does too. In the"
    " chapter's own sea and years the archive grew all the time, and the end of a window says more"
    " than its length. Where areas vary as in real subscriptions, area says most. All of these"
    " stand for one thing, the number of profiles that are read, and that is what slackwater"
    " predicts from.",
)

ABOUT_SPEED_UP = (
    "One request is cut into parts for 1, 2, 4 and 8 machines: the Mediterranean from 1999 to 2006."
    " Speed-up is how many times sooner it ends than on one machine, efficiency the share of the"
    " machines' time that is put to use. The chapter cuts time into equal spans (lin) or into spans"
    " that get shorter towards the end (log), with one or four parts a worker (1, 4). Slackwater"
    " cuts at equal predicted cost, along one axis (balanced) or along time, latitude and longitude"
    " in turn (bisecting).",
    "Strategies cut by what they predict. What parts then take is not that prediction: each float"
    " of the index is given a float whose files were really read and timed, and each of its files a"
    f" time drawn from those. Figures are means over {SEEDS} draws, the same for all lines.",
)

ABOUT_HANDING = (
    "The chapter does not say how parts reach workers. Above, a free worker takes the longest"
    " predicted part that is left, as slackwater does. If it takes the next part in the order of"
    " time, or if each worker is given neighbouring parts in advance, the chapter's lines change,"
    " for late parts are long ones; in advance, four parts a worker are worth no more than one."
)


def page_of(study: Study, profiles: Profiles) -> str:
    """Return the report as a self-contained page."""
    found = claims(study)
    sections = [
        *map(paragraph, ABOUT),
        f'<p class="faint">{escape(COVER.format(**study.about()))}</p>',
        section("What was found", _claims(found)),
        _table_1(study, profiles),
        _speed_up(study),
        _scaling(study.hundred),
        _surface(study.hundred),
        _scenario(study),
        _origin(),
    ]
    return page("The chapter, reproduced", sections, {"result": study.result()})


ABOUT_SCALING = (
    "A hundred tasks arrive at once and share one deadline of an hour. They ask for different"
    " areas and time ranges, drawn inside the request above, and are ranked by the chapter's Eq."
    " 1, which puts large areas and long ranges first. One VM with one worker stands at first; at"
    " most eight may, with two workers each. When a task starts, a policy may ask for one more.",
    "How long tasks take follows from the profiles that they match, as above, and from one scale"
    " for all of them, chosen such that a single worker ends 22 of them in time: the chapter says"
    " that without scaling misses begin after about 22 tasks. All that it leaves open besides"
    " stands in the scenario below, with its reasons.",
    "In the figures each task is a dot, in the order in which tasks start: how much time is left"
    " to its deadline at that moment (left axis), and how many VMs and workers stand (right axis)."
    " The broken line is the threshold in force. A red cross is a task that was delivered late,"
    " though it may have started before the deadline.",
)

CAPTIONS = {
    NONE: (
        "Fig. 7: no scaling",
        "One worker, whatever the deadlines. No task gives way to another, as in the chapter.",
    ),
    STATIC: (
        "Fig. 8: static threshold",
        "When the next task has less time left than the threshold, one more VM is asked for at each"
        " start; from eight on, a second worker on each.",
    ),
    DYNAMIC: (
        "Fig. 9: dynamic threshold",
        "The same, but each signal lowers the threshold to the time left then, less the factor.",
    ),
    PREFIX: (
        "prefix, slackwater's own policy",
        "It adds up the work that is due by each deadline and starts at once what that calls for.",
    ),
    PREFIX_2: (
        "prefix, with VMs that start with both workers",
        "The same where a new VM has two workers from the start.",
    ),
}

ABOUT_CASES = (
    "VM-hours are from the request for a VM until it is gone, its boot included. The least is"
    " what any policy must pay that is in time: the work itself on VMs of so many workers, and the"
    " boots of as many VMs as the deadline calls for. A second worker costs nothing here, so"
    " static and dynamic, which add one to a standing VM, are held against VMs of two. The policy"
    " prefix starts whole VMs as they are offered and adds no worker later: with VMs of one worker"
    " it pays for each, and where a second worker is free that is dear. Other draws are the same"
    " with the tasks of other seeds."
)

ABOUT_SURFACE = (
    "The chapter chose its thresholds by trial and does not print them. So here is every choice:"
    " each cell is one run. The lower the threshold, the later the first signal; the larger the"
    " factor, the longer until the next. Where tasks are late, both were too patient."
)


def _scaling(runs: Hundred) -> str:
    figures = [
        figure(ttd_figure(runs.of(case), title), caption)
        for case, (title, caption) in CAPTIONS.items()
    ]
    return section(
        "Figs 7 to 9: when to add machines",
        *map(paragraph, ABOUT_SCALING),
        *figures,
        table(_heads(CASE_COLUMNS), case_rows(runs), caption=_at(runs.of(DYNAMIC))),
        paragraph(ABOUT_CASES),
    )


def _at(run: Played) -> str:
    return (
        f"All runs; static and dynamic with a threshold of {run.threshold_s:,.0f} s, dynamic with a"
        f" factor of {run.factor_s:,.0f} s."
    )


def _surface(runs: Hundred) -> str:
    _, *dynamic = runs.surfaces
    figures = [
        figure(surface_figure(surface, surface[0].case.name), caption)
        for surface, caption in zip(
            dynamic,
            (
                "New VMs start with one worker, as in the chapter.",
                "New VMs start with both workers.",
            ),
            strict=True,
        )
    ]
    return section(
        "Every threshold and factor",
        paragraph(ABOUT_SURFACE),
        *figures,
        table(
            STATIC_COLUMNS, static_rows(runs), caption="The static threshold, which has no factor."
        ),
    )


def _scenario(study: Study) -> str:
    text = (
        "What the chapter leaves open, and what is taken for it. Its load is replaced by the tasks."
    )
    return section("The scenario", paragraph(text), f"<pre>{escape(study.scenario_text)}</pre>")


def _heads(columns: Sequence[str]) -> list[str]:
    """Return heads without the mark that keeps a terminal from wrapping them."""
    return [name.replace("=", "") for name in columns]


def _claims(found: list[Claim]) -> str:
    rows = ((claim.where, claim.said, claim.verdict, claim.found) for claim in found)
    return table(("Where", "What was to be seen", "Verdict", "What was found"), rows)


def _table_1(study: Study, profiles: Profiles) -> str:
    drawn = [column.requests for column in study.columns[:1]]
    caption = (
        "Each dot is a request over the whole globe. Left: the longer the window, the longer it"
        " takes. Right: late ends allow long windows."
    )
    grown = "Profiles in the index, by the year of their observation; note the two scales."
    return section(
        "Table 1: what execution time goes with",
        *map(paragraph, ABOUT_TABLE_1),
        table(
            _heads(table_1_columns(study)),
            table_1_rows(study, intervals=True),
            caption="Pearson's correlation with predicted execution time, and 95 % intervals.",
        ),
        figure(growth_figure(profiles), grown),
        *([figure(windows_figure(drawn), caption)] if drawn else []),
    )


def _speed_up(study: Study) -> str:
    caption = (
        f"{study.request_profiles:,} profiles. Dotted: one part a worker; solid: four. Round: the"
        " chapter's; square: slackwater's. The broken line is perfect."
    )
    others = [
        table(
            _heads(speed_up_columns()),
            speed_up_rows(study, handing),
            caption=f"S: speed-up, E: efficiency, on so many VMs; parts handed out {handing}.",
        )
        for handing in Handing
    ]
    first, *rest = others
    return section(
        "Figs 5 and 6: speed-up and efficiency",
        *map(paragraph, ABOUT_SPEED_UP),
        figure(speed_up_figure(study.curves, Handing.LONGEST_FIRST), caption),
        first,
        paragraph(ABOUT_HANDING),
        *rest,
    )


def _origin() -> str:
    last = "All inputs and numbers are embedded in this page as JSON, under the id result."
    made = f"<pre>{escape(shlex.join(command_line()))}</pre>"
    return section("Made by", paragraph(BUILD), made, paragraph(last))

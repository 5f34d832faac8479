"""The robot's report as one HTML page: curves with bands, tables, costs. Everything is inside the file."""

import html
from collections.abc import Iterator, Sequence
from itertools import chain

from engine.cli.robot_files import Outcome
from engine.cli.robot_tables import (
    areas,
    arrivals,
    delivered,
    differences,
    effort,
    marks,
    own_sensitivity,
    percent,
    points,
    reached,
    sensitivity,
)
from engine.measure.costs import constants
from engine.measure.robot.statistics import interval, mean_classes, moments

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
_WIDTH, _HEIGHT = 900, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 30, 20, 50
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
svg { width: 100%; height: auto }
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page.

    Args:
        outcomes: results; the first is compared with each other one.
    """
    title = " against ".join(outcome.title for outcome in outcomes)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(_story(outcomes[0]))}</p>",
        "<h2>Held-out mIoU while a person works</h2>",
        _chart(outcomes),
        _table(("user time", *(outcome.title for outcome in outcomes)), _curve_rows(outcomes)),
        *_comparisons(outcomes),
        "<h2>Masks of the whole folder, visited or not</h2>",
        _table(("", *(outcome.title for outcome in outcomes)), _delivered_rows(outcomes)),
        "<h2>Classes at the end</h2>",
        _table(("class", *(outcome.title for outcome in outcomes)), _class_rows(outcomes)),
        "<h2>Classes while a person works</h2>",
        *_class_curves(outcomes),
        "<h2>Work, safety, speed</h2>",
        _table(("", *(outcome.title for outcome in outcomes)), _effort_rows(outcomes)),
        "<h2>Strokes on each image</h2>",
        _table(("image", *(outcome.title for outcome in outcomes)), _stroke_rows(outcomes)),
        "<h2>Cost model</h2>",
        _table(("constant", "value"), [(name, f"{value:g}") for name, value in constants().items()]),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _story(outcome: Outcome) -> str:
    options = outcome.options
    return (
        f"A simulated {options.get('user', 'careful')} person annotated while the tool learned: "
        f"{options.get('material', '')}; session {options.get('session', '')}, "
        f"{len(outcome.runs)} seeds. Bands are 95 % intervals by bootstrap over seeds. "
        "A model counts from the moment its real computing time is over on the person's clock."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{first}</tr>{lines}</table>"


def _curve_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    times = sorted({seconds for outcome in outcomes for seconds in moments(outcome.runs)})
    rows = [
        (
            f"{seconds:.0f} s",
            *(percent(interval([run.at(seconds) for run in outcome.runs])) for outcome in outcomes),
        )
        for seconds in times
    ]
    found = [dict(areas(outcome.runs)) for outcome in outcomes]
    rows += [(name, *(percent(one.get(name)) for one in found)) for name in dict.fromkeys(chain(*found))]
    rows += [(name, *(reached(outcome.runs, miou) for outcome in outcomes)) for name, miou in marks(outcomes)]
    return rows


def _comparisons(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The first against each other one; of one alone, what it is with other costs."""
    if len(outcomes) == 1:
        yield "<h2>The same sessions with other costs of the person's actions</h2>"
        own = [(f"{name}, {prices}", text) for prices, name, text in own_sensitivity(outcomes[0])]
        yield _table(("figure", outcomes[0].title), own)
    for other in outcomes[1:]:
        yield f"<h2>{html.escape(outcomes[0].title)} minus {html.escape(other.title)}, paired by seed</h2>"
        rows = [(name, points(value)) for name, value in differences(outcomes[0].runs, other.runs)]
        yield _table(("figure", "difference"), [*rows, *arrivals(outcomes[0], other)])
        yield "<p>The same sessions with other costs of the person's actions:</p>"
        others = [
            (f"{name}, {prices}", points(value)) for prices, name, value in sensitivity(outcomes[0], other)
        ]
        yield _table(("figure", "difference"), others)


def _delivered_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """The person's word, and the visible model's where there is none."""
    found = [dict(delivered(outcome.runs)) for outcome in outcomes]
    names = list(dict.fromkeys(name for rows in found for name in rows))
    return [(name, *(percent(rows.get(name)) for rows in found)) for name in names]


def _class_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    means = [mean_classes(outcome.runs) for outcome in outcomes]
    names = list(dict.fromkeys(name for mean in means for name in mean))
    return [(name, *(_share(mean.get(name)) for mean in means)) for name in names]


def _class_curves(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """IoU of each class at every moment that all seeds of a tool measured, and at the end."""
    for outcome in outcomes:
        at_the_end = mean_classes(outcome.runs)
        found = [(f"{at:.0f} s", mean_classes(outcome.runs, at)) for at in moments(outcome.runs)]
        rows = [
            (name, *(_share(mean.get(each)) for each in at_the_end))
            for name, mean in [*found, ("end", at_the_end)]
        ]
        yield f"<h3>{html.escape(outcome.title)}</h3>"
        yield _table(("user time", *at_the_end), rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _effort_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    facts = [dict(effort(outcome.runs)) for outcome in outcomes]
    names = dict.fromkeys(chain(*facts))  # sessions of differing length are asked differing things
    return [(name, *(fact.get(name, "–") for fact in facts)) for name in names]


def _stroke_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Mean strokes and seconds on the first, second, … image of the session."""
    longest = max((len(run.visits) for outcome in outcomes for run in outcome.runs), default=0)
    return [
        (str(place + 1), *(_on_image(outcome, place) for outcome in outcomes)) for place in range(longest)
    ]


def _on_image(outcome: Outcome, place: int) -> str:
    visits = [run.visits[place] for run in outcome.runs if place < len(run.visits)]
    if not visits:
        return "–"
    actions = sum(visit.strokes + visit.clicks + visit.relabels for visit in visits) / len(visits)
    seconds = sum(visit.seconds for visit in visits) / len(visits)
    return f"{actions:.1f} in {seconds:.0f} s"


# --- the chart --------------------------------------------------------------------------------------------


def _chart(outcomes: Sequence[Outcome]) -> str:
    longest = max((run.curve[-1].seconds for o in outcomes for run in o.runs if run.curve), default=1.0)
    highest = max((p.miou for o in outcomes for run in o.runs for p in run.curve), default=0.0)
    top = max(0.1, min(1.0, -(-highest * 10 // 1) / 10))
    lines = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Learning curves">']
    lines += _axes(longest, top)
    for place, outcome in enumerate(outcomes):
        lines += _curve(outcome, _COLORS[place % len(_COLORS)], longest, top)
        y = _TOP + 16 + 20 * place
        color = _COLORS[place % len(_COLORS)]
        lines.append(f'<rect x="{_LEFT + 14}" y="{y - 10}" width="14" height="10" fill="{color}"/>')
        lines.append(f'<text x="{_LEFT + 34}" y="{y}" font-size="14">{html.escape(outcome.title)}</text>')
    return "\n".join([*lines, "</svg>"])


def _x(seconds: float, longest: float) -> float:
    return round(_LEFT + seconds / longest * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(miou: float, top: float) -> float:
    return round(_HEIGHT - _BOTTOM - miou / top * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axes(longest: float, top: float) -> Iterator[str]:
    foot = _HEIGHT - _BOTTOM + 20
    for step in range(6):
        share = step / 5
        y, x = _y(share * top, top), _x(share * longest, longest)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>'
        yield _word(_LEFT - 8, y + 5, f"{100 * share * top:.0f} %", "end")
        yield _word(x, foot, f"{share * longest:.0f} s", "middle")
    yield _word((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "seconds of the person’s time", "middle")


def _word(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="13" text-anchor="{anchor}">{text}</text>'


def _curve(outcome: Outcome, color: str, longest: float, top: float) -> Iterator[str]:
    """The mean as a line, the interval as a band; the ends of sessions of differing length are left out."""
    places = [
        (seconds, band)
        for seconds in moments(outcome.runs)
        if (band := interval([run.at(seconds) for run in outcome.runs])) is not None
    ]
    if not places:
        return
    upper = [f"{_x(s, longest)},{_y(b.high, top)}" for s, b in places]
    lower = [f"{_x(s, longest)},{_y(b.low, top)}" for s, b in reversed(places)]
    mean = [f"{_x(0.0, longest)},{_y(0.0, top)}"]
    mean += [f"{_x(s, longest)},{_y(b.mean, top)}" for s, b in places]
    yield f'<polygon points="{" ".join(upper + lower)}" fill="{color}" opacity="0.18"/>'
    yield f'<polyline points="{" ".join(mean)}" fill="none" stroke="{color}" stroke-width="2"/>'
    for seconds, band in places:
        yield f'<circle cx="{_x(seconds, longest)}" cy="{_y(band.mean, top)}" r="3" fill="{color}"/>'

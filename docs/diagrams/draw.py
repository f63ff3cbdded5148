"""Draws the pictures of the documentation: one SVG file each, beside this script.

    python docs/diagrams/draw.py [--check]

Each picture has a light ground of its own, so that it can be read on light and on dark
pages. With --check nothing is written; the exit code is 1 when a file is not up to date.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

INK, SOFT, GROUND, RIM = "#1f2933", "#52606d", "#fbfaf7", "#d8d4c8"
FILLS = {
    "plain": "#ffffff",
    "good": "#e0f2e6",
    "busy": "#fdf0cf",
    "bad": "#fbe0dc",
    "data": "#e1ecf9",
}
RIMS = {
    "plain": "#7b8794",
    "good": "#2f855a",
    "busy": "#b7791f",
    "bad": "#c0392b",
    "data": "#2b6cb0",
}
LINE = 18


class Drawing:
    """Collects shapes; coordinates are pixels from the top left corner."""

    def __init__(self, width: int, height: int, title: str) -> None:
        """``title`` is read out by screen readers."""
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" '
            f'font-size="14" fill="{INK}">\n<title>{escape(title)}</title>\n'
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            'markerHeight="7" orient="auto-start-reverse">'
            f'<path d="M0 0 10 5 0 10z" fill="{SOFT}"/></marker></defs>\n'
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" '
            f'fill="{GROUND}" stroke="{RIM}"/>\n'
        )
        self._shapes: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "middle",
        soft: bool = False,
        bold: bool = False,
    ) -> None:
        """Lines of text; ``y`` is the base of the first."""
        style = f' fill="{SOFT}"' if soft else ""
        style += ' font-weight="600"' if bold else ""
        for number, line in enumerate(text.split("\n")):
            self._shapes.append(
                f'<text x="{x:g}" y="{y + number * LINE:g}" text-anchor="{anchor}"{style}>'
                f"{escape(line)}</text>"
            )

    def term(self, x: float, y: float, word: str, meaning: str) -> None:
        """A word in bold, and beside it what it is."""
        self._shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="12">'
            f'<tspan font-weight="600">{escape(word)}</tspan> '
            f'<tspan fill="{SOFT}">{escape(meaning)}</tspan></text>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, text: str, kind: str = "plain"
    ) -> None:
        """A box with text in its middle; the first line is bold."""
        self._shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" '
            f'fill="{FILLS[kind]}" stroke="{RIMS[kind]}" stroke-width="1.5"/>'
        )
        first, *rest = text.split("\n")
        top = y + height / 2 + 5 - len(rest) * LINE / 2
        self.text(x + width / 2, top, first, bold=True)
        if rest:
            self.text(x + width / 2, top + LINE, "\n".join(rest))

    def frame(self, x: float, y: float, width: float, height: float, text: str) -> None:
        """A dashed frame around other things, with its name at the top left."""
        self._shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="9" fill="none" '
            f'stroke="{SOFT}" stroke-dasharray="5 4"/>'
        )
        self.text(x + 12, y + 20, text, anchor="start", soft=True)

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """A line through points, with a head at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{SOFT}" stroke-width="1.6"{dash} '
            'marker-end="url(#head)"/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A thin line without a head."""
        self._shapes.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{SOFT}" '
            'stroke-dasharray="2 4"/>'
        )

    def svg(self) -> str:
        """The file."""
        return self._head + "\n".join(self._shapes) + "\n</svg>\n"


def job_states() -> Drawing:
    """A job's states and what leads from one to another."""
    p = Drawing(760, 420, "The states of a job: scheduled, waiting, claimed, stalled, ended")
    p.box(150, 200, 130, 60, "waiting", "data")
    p.box(150, 55, 130, 60, "scheduled", "data")
    p.box(400, 200, 130, 60, "claimed", "busy")
    p.box(400, 335, 130, 60, "stalled", "bad")
    p.box(600, 200, 145, 60, "ended\na result may stay", "good")
    p.arrow((25, 230), (148, 230))
    p.text(80, 220, "put")
    p.arrow((25, 85), (148, 85))
    p.text(80, 58, "put with\ndelay or at")
    p.arrow((215, 115), (215, 198))
    p.text(205, 150, "its time has\ncome, run_now", anchor="end")
    p.arrow((280, 218), (398, 218))
    p.text(340, 209, "get")
    p.arrow((400, 244), (282, 244))
    p.text(340, 263, "cancel, or\nclaim_timeout\nhas passed")
    p.arrow((430, 200), (430, 85), (282, 85))
    p.text(356, 76, "cancel with a delay")
    p.arrow((530, 230), (598, 230))
    p.text(564, 220, "finish")
    p.arrow((465, 260), (465, 333))
    p.text(478, 286, "stall, or cancelled\nmax_failures times", anchor="start")
    p.arrow((400, 365), (215, 365), (215, 262))
    p.text(300, 382, "retry")
    p.arrow((470, 200), (470, 170), (515, 170), (515, 198))
    p.text(478, 160, "extend, heartbeat", anchor="start")
    p.text(30, 35, "retract removes a job in any state.", anchor="start", soft=True)
    return p


def notice_way() -> Drawing:
    """From a publish to whoever subscribed."""
    p = Drawing(760, 390, "The way of a notice from publish to a subscriber")
    p.box(25, 60, 180, 62, "feed.publish(item)\nyour program", "plain")
    p.frame(265, 20, 230, 350, "server")
    p.box(285, 55, 190, 72, "one script\nchanges the feed and\npublishes the notice", "data")
    p.box(285, 180, 190, 52, "items\nstay: persisted", "data")
    p.box(285, 290, 190, 62, "channel\nfeed.publish:news", "data")
    p.arrow((205, 82), (283, 82))
    p.text(244, 72, "1")
    p.arrow((285, 108), (207, 108), dashed=True)
    p.text(244, 126, "answer")
    p.arrow((345, 127), (345, 178))
    p.arrow((440, 127), (440, 160), (484, 160), (484, 320), (477, 320))
    p.text(326, 158, "2")
    p.text(462, 150, "2")
    p.box(555, 180, 180, 52, "subscription\nthread or task", "plain")
    p.box(555, 290, 180, 62, "for notice in notices:\nyour code, or handlers", "plain")
    p.arrow((475, 338), (520, 338), (520, 216), (553, 216))
    p.text(509, 280, "3", anchor="end")
    p.arrow((645, 232), (645, 288))
    p.text(655, 266, "4: in order", anchor="start")
    p.arrow((553, 195), (477, 195), dashed=True)
    for number, line in enumerate(
        (
            "The connection was lost?",
            "A Gap says so. With",
            "resync=True the items are",
            "read again, and you get",
            "what was missed.",
        )
    ):
        p.text(560, 70 + number * LINE, line, anchor="start", soft=True)
    for number, line in enumerate(
        (
            "1: the change is sent",
            "2: both, in one atomic step",
            "3: who is connected hears it",
            "4: decoded, one by one",
        )
    ):
        p.text(30, 190 + number * LINE, line, anchor="start", soft=True)
    return p


def on_the_server() -> Drawing:
    """The keys of each type."""
    p = Drawing(760, 610, "The keys that each type of feed has on the server")
    p.box(20, 20, 720, 44, "feeds:  a set with the names of all feeds", "plain")
    columns = [
        (20, 155, "feed", ["ids|zset: id → time", "items|hash: id → item", "publishes|counter"]),
        (
            187,
            155,
            "sorted feed",
            [
                "ids|list, first to last",
                "items|hash: id → item",
                "publishes|counter",
                "idincr|last id given",
            ],
        ),
        (
            354,
            175,
            "queue",
            [
                "ids|list, next at the right",
                "items|hash: id → item",
                "publishes|counter",
                "claimed|unconfirmed",
                "reserved|on the way",
                "holders, tokens|of consumers",
                "unique|ids that stay taken",
                "paused|ids, while paused",
            ],
        ),
        (
            541,
            199,
            "job",
            [
                "ids|list: waiting",
                "scheduled|zset: id → due",
                "scheduleditems|their items",
                "claimed|zset: id → since",
                "stalled|set",
                "items|hash: id → item",
                "published|zset: put when",
                "cancelled|id → how often",
                "publishes, finishes|counters",
                "reserved|on the way",
                "holders, tokens|of claims",
                "info|why jobs failed",
                "unique|ids that stay taken",
                "schedules, runs|periodic jobs",
                "paused|ids, while paused",
                "jobfinished|each result",
                "results|until when each stays",
            ],
        ),
    ]
    for x, width, name, lines in columns:
        p.box(x, 84, width, 38, name, "data")
        p.frame(x, 130, width, 372, "")
        for number, line in enumerate(lines):
            p.term(x + 10, 156 + number * 22, *line.split("|"))
    p.box(
        20,
        520,
        720,
        40,
        "config:  a hash with the type and the configuration, for each feed",
        "plain",
    )
    p.text(
        380,
        588,
        "A key's name is feed.WORD:NAME, as in feed.items:news. "
        "answers, a hash, remembers the last calls.",
        soft=True,
    )
    return p


def _lifelines(p: Drawing, names: list[tuple[float, str]], top: float, bottom: float) -> None:
    for x, name in names:
        p.line(x, top + 36, x, bottom)
        p.box(x - 85, top, 170, 36, name, "plain")


def create_and_delete() -> Drawing:
    """Two steps, each safe to be the last."""
    p = Drawing(760, 430, "Creating and deleting a feed in two steps each")
    for left, title, first, second, between, after in (
        (
            20,
            "create",
            "feed.config:news\ntype and configuration",
            "feeds  +news\nnotice newfeed",
            "dies here: the feed works,\nbut is not listed",
            "the next program\nto open it lists it",
        ),
        (
            390,
            "delete",
            "all keys of the feed\nare deleted",
            "feeds  −news\nnotice delfeed",
            "dies here: a name\nwithout a feed",
            "delete it again, or\ncreate it again",
        ),
    ):
        p.frame(left, 20, 350, 390, title)
        p.box(left + 15, 60, 185, 70, f"step 1\n{first}", "data")
        p.box(left + 15, 205, 185, 70, f"step 2\n{second}", "data")
        p.box(left + 15, 345, 185, 44, "done", "good")
        p.arrow((left + 107, 130), (left + 107, 203))
        p.arrow((left + 107, 275), (left + 107, 343))
        p.arrow((left + 107, 166), (left + 208, 166), dashed=True)
        p.text(left + 275, 163, between.replace(":", ":\n", 1).replace("\n ", "\n"), soft=True)
        p.arrow((left + 275, 226), (left + 275, 240), (left + 202, 240), dashed=True)
        p.text(left + 275, 262, after, soft=True)
    return p


def queue_take() -> Drawing:
    """Taking and confirming, and what happens when somebody dies."""
    p = Drawing(760, 500, "A queue's item is taken in two steps: take, then confirm")
    consumer, server = 140, 400
    _lifelines(p, [(consumer, "queue.get()"), (server, "server")], 20, 280)
    p.text(640, 44, "where the item is", bold=True)
    p.text(640, 92, "waiting")
    p.arrow((consumer, 110), (server, 110))
    p.text(270, 101, "take, under a token")
    p.arrow((server, 160), (consumer, 160), dashed=True)
    p.text(270, 151, "the item's bytes")
    p.text(640, 140, "taken: no other gets it,\nand it is still stored")
    p.arrow((consumer, 215), (server, 215))
    p.text(270, 206, "confirm, with the token")
    p.arrow((server, 262), (consumer, 262), dashed=True)
    p.text(270, 253, "it is yours")
    p.text(640, 232, "deleted on the server")
    p.text(consumer, 302, "get returns the item", bold=True)
    p.line(40, 325, 720, 325)
    p.text(40, 352, "Dies before it has confirmed:", anchor="start", bold=True)
    p.text(
        40,
        374,
        "ten seconds later the item is the next one again,\nand wakes a waiting get.",
        anchor="start",
    )
    p.text(40, 426, "Was slow, and confirms after that:", anchor="start", bold=True)
    p.text(40, 448, "refused; it takes the next item instead.", anchor="start")
    p.box(520, 350, 200, 44, "taken → waiting", "busy")
    p.box(520, 422, 200, 44, "another's by now", "bad")
    return p


def worker_job() -> Drawing:
    """Who moves a worker's job on, and how it may end."""
    p = Drawing(760, 420, "Who ends a job: running, taken, ended")
    p.box(25, 140, 140, 70, "running\nin its handler", "busy")
    p.box(330, 140, 140, 70, "taken\none decides", "plain")
    p.frame(541, 12, 209, 350, "ended")
    p.box(555, 40, 190, 56, "finished\nreturned, or Discard", "good")
    p.box(555, 114, 190, 56, "stalled\nStall, or failed too often", "bad")
    p.box(555, 188, 190, 56, "scheduled\nfailed; again later", "data")
    p.box(
        555, 262, 190, 80, "available again\nfailed, without a delay;\nleft over at a stop", "data"
    )
    p.arrow((95, 92), (95, 138))
    p.text(95, 82, "claimed")
    p.arrow((165, 162), (328, 162))
    p.text(247, 134, "its loop: the handler\nreturned or raised")
    p.arrow((165, 190), (328, 190))
    p.text(247, 210, "the executor:\nover its time limit, or\nthe grace is over")
    p.arrow((470, 155), (512, 155), (512, 68), (553, 68))
    p.arrow((470, 168), (525, 168), (525, 142), (553, 142))
    p.arrow((470, 184), (525, 184), (525, 216), (553, 216))
    p.arrow((470, 198), (512, 198), (512, 302), (553, 302))
    for number, line in enumerate(
        (
            "The heartbeat extends the claims of running jobs.",
            "When a claim is lost, a report of its end is refused.",
            "The server gives a scheduled job to any worker,",
            "when its time has come.",
        )
    ):
        p.text(25, 300 + number * LINE, line, anchor="start", soft=True)
    return p


def cluster() -> Drawing:
    """Who talks to which node of a cluster."""
    p = Drawing(760, 330, "Programs, and the nodes of a cluster that they use")
    p.box(20, 60, 170, 62, "program\nputs into {orders}", "plain")
    p.box(20, 145, 170, 62, "worker\nwaits for {orders}", "plain")
    p.box(20, 230, 170, 62, "subscriber\nto {news}", "plain")
    p.frame(330, 20, 410, 290, "cluster")
    for y, name, feed in (
        (52, "master A", "{orders}"),
        (138, "master B", "{news}"),
        (224, "master C", "feeds"),
    ):
        p.box(360, y, 150, 62, f"{name}\n{feed}", "data")
        p.box(590, y, 130, 62, "its replica\ntakes over", "good")
        p.arrow((510, y + 31), (587, y + 31), dashed=True)
    p.arrow((190, 85), (357, 75))
    p.arrow((357, 100), (240, 100), (240, 176), (193, 176))
    p.arrow((357, 169), (275, 169), (275, 250), (193, 250))
    p.arrow((357, 255), (310, 255), (310, 276), (193, 276))
    p.text(253, 64, "calls", soft=True)
    p.text(212, 312, "created, deleted", anchor="start", soft=True)
    return p


PICTURES = {
    "job-states": job_states,
    "notice-way": notice_way,
    "on-the-server": on_the_server,
    "create-and-delete": create_and_delete,
    "queue-take": queue_take,
    "worker-job": worker_job,
    "cluster": cluster,
}


def main() -> int:
    """Write all files, or compare them; returns the exit code."""
    stale = []
    for name, draw in PICTURES.items():
        path, drawn = FOLDER / f"{name}.svg", draw().svg()
        if "--check" not in sys.argv:
            path.write_text(drawn, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != drawn:
            stale.append(path.name)
    if stale:
        print(f"not up to date, run docs/diagrams/draw.py: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

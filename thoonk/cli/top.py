"""The screen of ``top``: a live table of feeds, with keys. Textual draws it and reads the keys.

Only what is on the screen is made into text, so 5,000 feeds are as quick as 50.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from thoonk import AsyncThoonk
from thoonk.backends import impatient
from thoonk.cli.board import Board
from thoonk.cli.columns import (
    COLUMNS,
    ROOM_FOR_ALL,
    Attention,
    Column,
    attention,
    fitting,
    widths,
)
from thoonk.cli.exit_codes import Exit
from thoonk.cli.lookout import Lookout
from thoonk.cli.session import CONNECT_WITHIN, Session
from thoonk.cli.urls import address
from thoonk.raw_items import printable

FIRST_ANSWER_WITHIN = 1.0
"""Seconds to wait for the first answer before the screen is drawn without it.

What is wrong with the address is usually known by then, and is an error on one line.
"""
TICK = 0.5
"""Seconds between two looks at the clock."""
OLD = 2.0
"""Seconds without an answer, beyond the interval, after which the screen shows an error."""
INTERVALS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between two updates that + and - choose from."""

STYLES: Mapping[Attention, Style] = {
    Attention.NONE: Style(),
    Attention.SOME: Style(color="yellow", bold=True),
    Attention.MUCH: Style(color="red", bold=True),
}
DIM = Style(dim=True)
CURSOR = Style(reverse=True)
HEADING = Style(bold=True, underline=True)
SORTED = HEADING + Style(reverse=True)

HELP = (
    ("q, Ctrl-C", "quit"),
    ("p, Space", "pause, continue"),
    ("/", "filter by name"),
    ("Esc", "clear the filter"),
    ("s, S, → ←", "sort by the next, the previous column"),
    ("", "(or click a heading)"),
    ("r", "reverse the order"),
    ("↑ ↓ PgUp PgDn Home End", "scroll (or turn the wheel)"),
    ("Enter", "show all numbers of a feed"),
    ("+ -", "update more often, less often"),
    ("?", "show or close this help"),
)


def run(session: Session, names: tuple[str, ...], interval: float) -> None:
    """Show the screen until it is quit.

    Raises:
        ThoonkError: the server cannot be reached, or a feed that was named does not exist.
        KeyboardInterrupt: Ctrl-C was pressed.
        SystemExit: the process received SIGTERM.
    """
    asyncio.run(_run(session, names, interval))


async def _run(session: Session, names: tuple[str, ...], interval: float) -> None:
    async with AsyncThoonk(backend=session.url, **impatient(session.url, CONNECT_WITHIN)) as client:
        lookout = Lookout(client, names)
        first = asyncio.ensure_future(lookout.round((), interval))
        try:
            if (await asyncio.wait({first}, timeout=FIRST_ANSWER_WITHIN))[0]:
                first.result()
            app = Top(lookout, address(session.url), interval, first)
            await app.run_async()
        finally:
            first.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await first
    if app.failure is not None:
        raise app.failure


class Table(ScrollView, can_focus=True):
    """The rows, of which those in sight are drawn, and the columns that fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("home", "move_to(0)", show=False),
        Binding("end", "move_to(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Changed(Message):
        """Other rows are in sight, or other columns."""

    class Chosen(Message):
        """Enter was pressed on a row, or it was clicked."""

        def __init__(self, feed: str) -> None:
            self.feed = feed
            super().__init__()

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.board = board
        self.rows: list[str] = []
        self.columns: list[tuple[Column, int]] = []
        self.cursor = 0

    @property
    def gap(self) -> int:
        """How many columns are between two columns of the table."""
        return 1 if self.app.size.width < ROOM_FOR_ALL else 2

    @property
    def in_sight(self) -> list[str]:
        """The names of the feeds that the screen shows."""
        top = round(self.scroll_y)
        return self.rows[top : top + self.size.height]

    def update(self) -> None:
        """Take what the board has now."""
        board = self.board
        self.rows = board.rows()
        room = self.app.size.width
        needed = widths([*board.samples.values()])
        # Names of feeds without a sample need room, too.
        names = max((cell_len(printable(name)) for name in board.names), default=0)
        needed["feed"] = max(names, needed["feed"])
        needed[board.sort.name] = max(needed[board.sort.name], len(board.sort.name)) + 1
        columns = fitting(needed, room - 1, gap=self.gap, keep=(board.sort.name,))
        others = sum(needed[column.name] + self.gap for column in columns if column.name != "feed")
        needed["feed"] = max(1, min(needed["feed"], room - 1 - others))
        self.columns = [(column, needed[column.name]) for column in columns]
        self.virtual_size = Size(self.size.width, len(self.rows))
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
        self.refresh()
        self.post_message(self.Changed())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other rows are in sight."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Changed())

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        index = round(self.scroll_y) + y
        width = self.size.width
        if index >= len(self.rows):
            return Strip.blank(width)
        segments = self._segments(self.rows[index])
        strip = Strip(segments).adjust_cell_length(width)
        return strip.apply_style(CURSOR) if index == self.cursor else strip

    def _segments(self, name: str) -> list[Segment]:
        board = self.board
        sample = board.samples.get(name)
        segments = []
        for position, (column, width) in enumerate(self.columns):
            if position:
                segments.append(Segment(" " * self.gap))
            if sample is None:
                text, style = (printable(name) if column.name == "feed" else ""), DIM
            else:
                text = column.text(sample, grouped=True)
                timeout = board.claim_timeouts.get(name)
                style = STYLES[attention(column, sample, timeout)]
            segments.append(Segment(cell(text, width, is_text=column.is_text), style))
        return segments

    # --- keys and clicks ------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        """Move the cursor, and scroll if it leaves the screen."""
        self.action_move_to(max(0, self.cursor + rows))

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by screens."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_move_to(self, row: int) -> None:
        """Move the cursor to a row; -1: the last one."""
        last = len(self.rows) - 1
        self.cursor = max(0, last if row < 0 else min(row, last))
        top, height = round(self.scroll_y), max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
        self.refresh()

    def action_choose(self) -> None:
        """Show the row of the cursor in full."""
        if self.rows:
            self.post_message(self.Chosen(self.rows[self.cursor]))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row; a second click shows it in full."""
        row = round(self.scroll_y) + event.y
        if row < len(self.rows):
            if row == self.cursor:
                self.action_choose()
            self.action_move_to(row)

    def on_resize(self) -> None:
        """Choose the columns that fit now."""
        self.update()
        self.action_move_to(self.cursor)


def cell(text: str, width: int, *, is_text: bool) -> str:
    """A text in so many columns of the terminal."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    room = " " * (width - length)
    return text + room if is_text else room + text


class Headings(Widget):
    """The headings of the table; a click on one sorts by it."""

    class Clicked(Message):
        """A heading was clicked."""

        def __init__(self, column: Column) -> None:
            self.column = column
            super().__init__()

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def render(self) -> Text:
        """The headings, with an arrow where it is sorted."""
        board = self.table.board
        line = Text(no_wrap=True, overflow="crop", end="")
        for position, (column, width) in enumerate(self.table.columns):
            if position:
                line.append(" " * self.table.gap)
            is_sorted = column is board.sort
            name = column.name + (("▼" if board.is_descending else "▲") if is_sorted else "")
            text = cell(name, width, is_text=column.is_text)
            line.append(text, SORTED if is_sorted else HEADING)
        return line

    def on_click(self, event: events.Click) -> None:
        """Say which heading it is."""
        end = 0
        for column, width in self.table.columns:
            end += width + self.table.gap
            if event.x < end:
                self.post_message(self.Clicked(column))
                return


class Top(App[None]):
    """The screen.

    Attributes:
        failure: what is to be raised when it has ended; None: nothing.
    """

    CSS = """
    * {
        scrollbar-size-vertical: 1;
        scrollbar-color: ansi_bright_black; scrollbar-background: ansi_default;
        scrollbar-color-hover: ansi_bright_black; scrollbar-background-hover: ansi_default;
        scrollbar-color-active: ansi_bright_black; scrollbar-background-active: ansi_default;
    }
    Screen { layout: vertical; background: ansi_default; color: ansi_default; overflow: hidden; }
    #head { height: 2; }
    Headings { height: 1; }
    Table { height: 1fr; overflow-x: hidden; background: ansi_default; }
    #error { height: auto; max-height: 3; color: ansi_red; text-style: bold; display: none; }
    #status { height: 1; }
    #filter { height: 1; border: none; padding: 0; background: ansi_default; display: none; }
    #filter:focus { border: none; }
    Page { align: center middle; background: ansi_default; }
    Page Static {
        width: auto; height: auto; max-width: 100%; max-height: 100%; padding: 1 2;
        border: round ansi_default; background: ansi_default; color: ansi_default;
    }
    """
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        Binding("q", "leave", show=False),
        Binding("p,space", "pause", show=False),
        Binding("slash", "filter", show=False),
        Binding("escape", "clear_filter", show=False),
        Binding("s,right", "sort(1)", show=False),
        Binding("S,left", "sort(-1)", show=False),
        Binding("r", "reverse", show=False),
        Binding("plus,equals_sign", "interval(-1)", show=False),
        Binding("minus", "interval(1)", show=False),
        Binding("question_mark,h", "help", show=False),
    ]

    def __init__(
        self, lookout: Lookout, address: str, interval: float, first: asyncio.Future[None]
    ) -> None:
        """Show what a lookout knows.

        Args:
            lookout: asks the server.
            address: the server's.
            interval: seconds between two rounds.
            first: the first round, which has begun.
        """
        super().__init__(ansi_color=True)
        self.failure: BaseException | None = None
        self._lookout = lookout
        self._board = lookout.board
        self._address = address
        self._interval = interval
        self._first = first
        self._is_paused = False
        self._wake = asyncio.Event()
        self._table = Table(self._board)
        self._headings = Headings(self._table)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Static(id="head")
        yield self._headings
        yield self._table
        yield Static(id="error")
        yield Static(id="status")
        yield Input(id="filter", placeholder="part of a name")

    def on_mount(self) -> None:
        """Begin to look."""
        # Textual restores the terminal when the app ends, so SIGTERM ends it in good order.
        with contextlib.suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGTERM, self._leave, SystemExit(Exit.TERMINATED)
            )
        self._table.focus()
        self.set_interval(TICK, self.show_state)
        self.run_worker(self._look(), exit_on_error=False)

    def _leave(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.exit()

    async def _look(self) -> None:
        """Round after round; what goes wrong beyond an answer that does not come ends it."""
        try:
            await self._first
            while True:
                self._table.update()
                self.show_state()
                await self._until_next_round()
                await self._lookout.round(self._table.in_sight, self._interval)
        except Exception as error:  # noqa: BLE001 - raised when the terminal is itself again
            self._leave(error)

    async def _until_next_round(self) -> None:
        while True:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._is_paused else self._interval):
                    await self._wake.wait()
            if not self._is_paused:
                return

    # --- what is shown --------------------------------------------------------------------

    def show_state(self) -> None:
        """Draw all but the table: clock, totals, error and status."""
        if not self.is_running:
            return
        screen = self.screen_stack[0]
        screen.query_one("#head", Static).update(self._head())
        error = screen.query_one("#error", Static)
        text = self._error()
        error.display = bool(text)
        error.update(Text(text))
        screen.query_one("#status", Static).update(self._status())
        self._headings.refresh()

    def on_table_changed(self) -> None:
        """Say which rows are in sight now."""
        self.show_state()

    def _head(self) -> Text:
        totals = self._board.totals()
        count = len(self._board.names)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append("thoonk top", Style(bold=True))
        line.append(f"  {self._address}  {time.strftime('%H:%M:%S')}  {_feeds(count)}\n")
        waiting, claimed = f"waiting {totals.waiting:,}", f"claimed {totals.claimed:,}"
        line.append(f"{waiting}  {claimed}  ")
        line.append(f"stalled {totals.stalled:,}", STYLES[_if(totals.stalled, Attention.MUCH)])
        line.append("  ")
        line.append(f"failing {totals.failing:,}", STYLES[_if(totals.failing, Attention.SOME)])
        line.append(f"  in {totals.put_per_second:,.1f}/s  out {totals.done_per_second:,.1f}/s")
        return line

    def _error(self) -> str:
        if self._is_paused:
            return ""
        lookout = self._lookout
        if lookout.answered_at is None:
            return f"{self._address} has not answered yet."
        age = time.monotonic() - lookout.answered_at
        if lookout.error is not None:
            return f"These numbers are {age:.0f} s old: {lookout.error}"
        if age > self._interval + OLD and self._board.names:
            return f"These numbers are {age:.0f} s old: the server has not answered yet."
        return ""

    def _status(self) -> Text:
        table, board = self._table, self._board
        line = Text(no_wrap=True, overflow="ellipsis")
        if self._is_paused:
            line.append("PAUSED", STYLES[Attention.SOME] + Style(reverse=True))
            line.append("  ")
        rows, seen = len(table.rows), len(table.in_sight)
        top = round(table.scroll_y)
        what = f"feeds {top + 1:,}–{top + seen:,} of {rows:,}" if seen else f"{_feeds(rows)}"
        line.append(what)
        if board.filter:
            line.append(f"  filter: {printable(board.filter)}", STYLES[Attention.SOME])
        order = "reversed" if board.is_reversed else ""
        line.append(f"  sort: {board.sort.name} {order}".rstrip())
        line.append(f"  every {self._interval:g} s")
        if self._lookout.full_turn > self._interval:
            line.append(f", all in {max(1, self._lookout.full_turn):.0f} s")
        line.append("  ? help  q quit", DIM)
        return line

    # --- keys and clicks ------------------------------------------------------------------

    def action_leave(self) -> None:
        """End."""
        self._leave()

    def action_interrupt(self) -> None:
        """End as Ctrl-C ends other commands."""
        self._leave(KeyboardInterrupt())

    def action_pause(self) -> None:
        """Stop sampling, or continue."""
        self._is_paused = not self._is_paused
        self._wake.set()
        self.show_state()

    def action_interval(self, step: int) -> None:
        """Choose the next longer or shorter interval."""
        if step > 0:
            self._interval = next((n for n in INTERVALS if n > self._interval), self._interval)
        else:
            shorter = [n for n in INTERVALS if n < self._interval]
            self._interval = shorter[-1] if shorter else self._interval
        self._wake.set()
        self.show_state()

    def action_sort(self, step: int) -> None:
        """Sort by another column."""
        self._board.sort_by_next(step, [column for column, _ in self._table.columns])
        self._table.update()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._board.is_reversed = not self._board.is_reversed
        self._table.update()

    def on_headings_clicked(self, message: Headings.Clicked) -> None:
        """Sort by the column; by the same one the other way round."""
        if message.column is self._board.sort:
            self.action_reverse()
        else:
            self._board.sort_by(message.column)
            self._table.update()

    def action_filter(self) -> None:
        """Let a filter be typed."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_clear_filter(self) -> None:
        """Show all feeds."""
        field = self.query_one("#filter", Input)
        field.value = ""
        self._hide_filter()
        self._set_filter("")

    def _hide_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self._table.focus()

    def _set_filter(self, text: str) -> None:
        self._board.filter = text
        self._table.update()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._set_filter(event.value)

    def on_input_submitted(self) -> None:
        """Keep the filter, and give the keys back to the table."""
        self._hide_filter()

    def action_help(self) -> None:
        """Show the keys."""
        width = max(len(keys) for keys, _ in HELP)
        self.push_screen(Page(Text("\n".join(f"{keys:{width}}  {what}" for keys, what in HELP))))

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Show all that is known of a feed."""
        self.push_screen(Page(self._details(message.feed)))

    def _details(self, feed: str) -> Text:
        text = Text()
        text.append(printable(feed) + "\n", Style(bold=True))
        sample = self._board.samples.get(feed)
        if sample is None:
            return text.append("not sampled yet")
        timeout = self._board.claim_timeouts.get(feed)
        for column in COLUMNS[1:]:
            if shown := column.text(sample, grouped=True):
                style = STYLES[attention(column, sample, timeout)]
                text.append(f"\n{column.name:14}").append(shown, style)
        if timeout:
            text.append(f"\n{'claim_timeout':14}{timeout:g}s")
        return text


class Page(ModalScreen[None]):
    """A text in front of the table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,question_mark,h,space", "dismiss", show=False),
        Binding("q", "app.leave", show=False),
    ]

    def __init__(self, text: Text) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, and nothing else."""
        yield Static(self._text)

    def on_click(self) -> None:
        """Close it."""
        self.dismiss()


def _feeds(count: int) -> str:
    return "1 feed" if count == 1 else f"{count:,} feeds"


def _if(number: int, what: Attention) -> Attention:
    return what if number else Attention.NONE

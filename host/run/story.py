# SPDX-License-Identifier: Apache-2.0
"""Text as it is generated: live on a terminal, as a whole where there is none."""

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tritforge.golden.checkpoints.text import TextCodec

STATUS_LINES = 3
SHOWN = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
SHOWN |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
"""What a terminal shows in place of control characters, which it would obey."""


class Story:
    """Collects tokens and shows their text while the context lasts.

    Parameters
    ----------
    codec
        The model's tokenizer.
    prompt, ids
        What the text begins with, and its tokens.
    console
        Where to show it; None shows nothing.

    Attributes
    ----------
    tokens, text
        What was added so far.
    """

    def __init__(self, codec: TextCodec, prompt: str, ids: list[int], console: Console | None) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self._stream = codec.stream(ids)
        self._prompt, self._console = prompt, console
        self._doing = ""
        self._live = Live(console=console, auto_refresh=False, transient=True) if console else None

    def __enter__(self) -> "Story":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.text += self._stream.flush()
        if self._live:
            self._live.stop()
        if self._console and self._console.is_terminal:
            self._console.print(self._whole())
        elif self._console:
            # to the byte, for whom it is piped to, and before what is told on stderr
            print(self._prompt + self.text, file=self._console.file, flush=True)

    def add(self, token: int) -> None:
        """Take the next token."""
        self.tokens.append(token)
        self.text += self._stream.push(token)
        self._doing = f"{len(self.tokens)} new tokens"
        self._refresh()

    def read(self, done: int, total: int) -> None:
        """Say how much of the prompt was read."""
        self._doing = f"token {done} of {total} of the prompt"
        self._refresh()

    def cycles(self, cycles: int, beats: int) -> None:
        """Say how far the simulation of a token is."""
        self._refresh(f", {cycles:,} cycles and {beats:,} beats into the next")

    def _whole(self) -> Text:
        return Text.assemble((self._prompt.translate(SHOWN), "bold"), self.text.translate(SHOWN))

    def _refresh(self, more: str = "") -> None:
        if self._live and self._console and self._console.is_terminal:
            lines = self._whole().wrap(self._console, self._console.width)
            tail = lines[-max(self._console.height - STATUS_LINES, 1) :]
            self._live.update(Group(*tail, Text(self._doing + more, style="dim")), refresh=True)

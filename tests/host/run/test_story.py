# SPDX-License-Identifier: Apache-2.0
"""Generated text where it is shown: to the byte in a pipe, and without effect on a terminal."""

import io

import pytest
from rich.console import Console

from tests.checkpoints import byte_tokenizer
from tritforge.golden.checkpoints.text import TextCodec
from tritforge.host.run.story import Story

TEXTS = (
    "a\tb",
    "a\r\nb\rc",
    "\x1b[31mred\x1b[0m",
    "bell\x07\x08\x0b\x0c",
    "\x7f\x9b2J",
    " trailing \n\n",
    "[bold]x[/] :smile:",
)


def shown(prompt: str, text: str, terminal: bool) -> str:
    codec, file = TextCodec(byte_tokenizer()), io.StringIO()
    console = Console(file=file, soft_wrap=True, force_terminal=terminal, color_system=None, width=80)
    with Story(codec, prompt, codec.encode(prompt), console) as story:
        for token in codec.encode(text):
            story.add(token)
    assert story.text == text
    return file.getvalue()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("prompt", ["x", "\t\x1b[0m\r"])
def test_a_pipe_gets_the_text_as_it_is(prompt: str, text: str) -> None:
    assert shown(prompt, text, False) == prompt + text + "\n"


@pytest.mark.parametrize("text", TEXTS)
def test_a_terminal_does_not_obey_the_text(text: str) -> None:
    given = set(text) - {"\n"}
    obeyed = set(shown("x", text, True)) - set(shown("x", "plain", True))
    assert not [c for c in given & obeyed if not c.isprintable()]
    assert "\x1b[31m" not in shown("\x1b[31m", text, True)

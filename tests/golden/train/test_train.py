# SPDX-License-Identifier: Apache-2.0
"""Training: the parallel scan and the straight-through gradients, data, resuming, what is saved."""

import lzma
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tritforge.golden import TritforgeError
from tritforge.golden.arrays import as_array, as_tensor
from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig, write_checkpoint
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.reference import ReferenceModel, quantise
from tritforge.golden.ternary import ternarise
from tritforge.golden.train import calibrate as train_calibrate
from tritforge.golden.train import dream as train_dream
from tritforge.golden.train.corpus import (
    Labelled,
    Streams,
    encode_variants,
    neighbours,
    read_text,
    stream,
    train_tokenizer,
)
from tritforge.golden.train.latent import keep_clear
from tritforge.golden.train.loop import Trainer
from tritforge.golden.train.muon import Muon, orthogonalise
from tritforge.golden.train.network import BitLinear, Recurrence, TernaryProduct, TrainModel
from tritforge.golden.train.recipe import Recipe
from tritforge.golden.train.scan import scan

TALE = "".join(f"There was a king of {n} lands, and he had {n} sons.\n" for n in range(150))
CODEC = TextCodec(train_tokenizer(TALE, 330))
CONFIG = ModelConfig(hidden=32, layers=2, intermediate=48, vocab=330)
RECIPE = Recipe(steps=30, batch=4, window=24, drop=0.1, every=10)


def trainer(
    folder: Path, recipe: Recipe = RECIPE, config: ModelConfig = CONFIG, train: str | Labelled = TALE
) -> Trainer:
    return Trainer(config, recipe, train, TALE[:400], CODEC, folder / "best", folder / "state.pt")


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shape", [(3, 1, 5), (2, 37, 20), (4, 256, 256), (2, 512, 9)])
def test_the_kernel_scans_like_the_steps(shape: tuple[int, int, int]) -> None:
    f, u = random(*shape).sigmoid(), random(*shape)
    torch.testing.assert_close(scan(f.cuda(), u.cuda()).cpu(), scan(f, u), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_the_scan_and_its_gradient_are_those_of_the_recurrence(length: int) -> None:
    f, u = random(3, length, 5).sigmoid().double(), random(5, length, 3).view(3, length, 5).double()
    weight = random(3, length, 5).double()
    gradients = []
    for parallel in (True, False):
        a, b = f.clone().requires_grad_(), u.clone().requires_grad_()
        if parallel:
            h = Recurrence.apply(a, b)
        else:
            steps = [a[:, 0] * 0 + b[:, 0]]
            for t in range(1, length):
                steps.append(a[:, t] * steps[-1] + b[:, t])
            h = torch.stack(steps, 1)
        (h * weight).sum().backward()
        gradients.append((h, a.grad, b.grad))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected)


def test_the_quantisers_count_as_identities_in_the_gradient() -> None:
    y, weight, upstream = random(2, 3, 8).requires_grad_(), random(5, 8).requires_grad_(), random(2, 3, 5)
    out = TernaryProduct.apply(y, weight)
    (out * upstream).sum().backward()
    codes, scale = quantise(y.detach())
    quantised = codes / scale[..., None]
    found = ternarise(as_array(weight.detach()))
    trits, mean = as_tensor(found.trits), found.scale
    torch.testing.assert_close(out, quantised @ (trits * mean).T)
    torch.testing.assert_close(y.grad, upstream @ (trits * mean))
    torch.testing.assert_close(weight.grad, torch.einsum("bti,btj->ij", upstream, quantised))


def test_a_plain_product_quantises_nothing() -> None:
    layer, x = BitLinear(8, 5, plain=True), random(2, 3, 8)
    layer(x).square().sum().backward()
    torch.testing.assert_close(layer(x), layer.norm(x) @ layer.weight.T, rtol=0.02, atol=2e-3)
    assert layer.weight.grad.abs().min() > 0


@pytest.mark.parametrize("shape", [(64, 64), (96, 32), (32, 96)])
def test_muon_steps_as_the_published_one(shape: tuple[int, int]) -> None:
    weights = [random(*shape).clone().requires_grad_() for _ in range(3)]
    single = weights[2]
    ours = Muon(weights[:2], torch.tensor(0.01), 0.3)
    theirs = torch.optim.Muon([single], 0.01, 0.3, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        gradient = random(*shape) if step % 2 else random(shape[1], shape[0]).T.contiguous()
        for weight in weights:
            weight.grad = gradient.clone()
        ours.step()
        theirs.step()
    moved = (single - random(*shape)).norm()
    assert (weights[0] - single).norm() < 0.03 * moved
    torch.testing.assert_close(weights[1], weights[0])
    values = torch.linalg.svdvals(orthogonalise(random(1, *shape))[0])
    assert values.min() > 0.5 and values.max() < 1.3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_at_the_thresholds_survive_storing(dtype: torch.dtype) -> None:
    weight, near, jitter = random(64, 96), random(96, 64).T < 0.5, 1 + 1e-4 * random(32, 192).view(64, 96)
    for _ in range(30):
        weight[near] = (weight.abs().mean() / 2 * weight.sign() * jitter)[near]
    before, stored = ternarise(as_array(weight)), keep_clear(weight).to(dtype)
    after = ternarise(as_array(stored))
    assert np.array_equal(after.trits, before.trits)
    assert after.scale == pytest.approx(before.scale, rel=2e-3)
    assert not np.array_equal(ternarise(as_array(weight.to(dtype))).trits, before.trits)
    in_16_bits = (stored / stored.abs().mean()).round().clamp(-1, 1)
    assert np.array_equal(in_16_bits.to(torch.int8), before.trits)


def test_streams_go_on_where_they_were_and_begin_with_bos() -> None:
    tokens = torch.arange(100, 400)
    tokens[::7] = 9
    streams = Streams(tokens, newline=9, bos=1, batch=5, window=8, seed=3)
    previous = None
    for step in range(60):
        inputs, places, fresh = streams(step)
        targets = tokens[places]
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert fresh.all() or step > 0
        assert (inputs[fresh, 0] == 1).all()
        if previous is not None:
            assert torch.equal(inputs[~fresh, 0], previous[~fresh, -1])
        for row in targets:
            start = (tokens == row[row != 9][0]).nonzero().item() - (row != 9).int().argmax().item()
            assert torch.equal(row, tokens[start : start + 8])
        previous = targets


def test_a_corpus_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(TritforgeError, match="too few"):
        Streams(torch.arange(8), newline=0, bos=1, batch=1, window=8, seed=0)


def test_windows_of_a_stream_join_to_the_text() -> None:
    inputs, targets = zip(*stream(torch.arange(10, 30), 1, 8), strict=True)
    assert torch.cat(targets, 1)[0].tolist() == list(range(10, 30))
    assert torch.cat(inputs, 1)[0].tolist() == [1, *range(10, 29)]


def test_noisy_copies_are_other_pieces_of_the_same_text() -> None:
    plain = encode_variants(CODEC, TALE, 0)
    assert plain == CODEC.encode(TALE)
    noisy = encode_variants(CODEC, TALE, 0.3, noisy=2)
    assert noisy[: len(plain)] == plain
    assert CODEC.decode(noisy) == 3 * TALE
    assert len(noisy) > 3.5 * len(plain)


def test_the_loss_falls(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(RECIPE, steps=60))
    untrained = run.evaluate()
    assert run.run() < 0.75 * untrained


@pytest.mark.parametrize("muon", [False, True])
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path, muon: bool) -> None:
    recipe = replace(RECIPE, muon=muon)
    whole = trainer(tmp_path / "a", recipe)
    best = whole.run()
    trainer(tmp_path / "b", recipe).run(until=13)
    second = trainer(tmp_path / "b", recipe)
    second.resume()
    assert second.step == 13
    assert second.run() == best
    expected = whole.model.state_dict()
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert second.run() == best


@pytest.mark.parametrize("bounded", [True, False])
def test_what_is_saved_is_what_was_evaluated(tmp_path: Path, bounded: bool) -> None:
    config = replace(CONFIG, use_lower_bound=bounded)
    run = trainer(tmp_path, config=config)
    run.run()
    checkpoint = Checkpoint(tmp_path / "best")
    reference, model = ReferenceModel.from_checkpoint(checkpoint), TrainModel(config, drop=0.5).eval()
    model.load_state_dict({name: checkpoint.tensor(name) for name in checkpoint.names()})
    for name in config.linear_shapes():
        magnitude = checkpoint.tensor(f"{name}.weight").abs()
        assert ((magnitude / magnitude.mean() - 0.5).abs() > 0.045).all(), name
    ids = torch.tensor([1, *CODEC.encode(TALE[:100])])
    with torch.inference_mode():
        logits, state = model(ids[None])
    expected_logits, expected_state = reference.forward(ids)
    torch.testing.assert_close(logits[0], expected_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(state[:, 0], expected_state, rtol=1e-4, atol=1e-4)
    assert bits_per_character(reference, CODEC, TALE[:400]).bits_per_character == pytest.approx(run.best, rel=1e-4)


def test_certain_teachers_are_as_good_as_the_text(tmp_path: Path) -> None:
    # few steps: roundings, which differ from machine to machine, grow with each
    recipe = replace(RECIPE, steps=4)
    tokens = torch.tensor(CODEC.encode(TALE))
    pieces = torch.stack((tokens, (tokens + 1) % CONFIG.vocab), 1).to(torch.int16)
    for name, chances in ("certain", (1.0, 0.0)), ("wrong", (0.0, 1.0)):
        labelled = Labelled(tokens, pieces, torch.tensor(chances, dtype=torch.float16).expand(len(tokens), 2))
        trainer(tmp_path / name, recipe, train=labelled).run()
    expected = trainer(tmp_path / "text", recipe)
    expected.run()
    certain, wrong = (Checkpoint(tmp_path / name / "best") for name in ("certain", "wrong"))
    name = "model.embeddings.weight"
    torch.testing.assert_close(certain.tensor(name).half(), expected.stored()[name], rtol=0, atol=1e-3)
    assert (certain.tensor(name) - wrong.tensor(name)).abs().max() > 0.005


def test_a_plain_model_is_saved_as_it_is(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(RECIPE, plain=True, steps=60, muon=True))
    untrained = run.evaluate()
    assert run.run() < 0.75 * untrained
    weights = run.model.state_dict()
    for name, value in run.stored().items():
        assert torch.equal(value, weights[name].half()), name


@pytest.mark.parametrize("saved", [False, True])
def test_there_is_nothing_to_resume_from_another_run(tmp_path: Path, saved: bool) -> None:
    if saved:
        trainer(tmp_path, replace(RECIPE, steps=2)).run()
    with pytest.raises(TritforgeError, match="other options" if saved else "missing"):
        trainer(tmp_path).resume()


@pytest.mark.parametrize(
    "options",
    [{"steps": None}, {"minutes": 1.0}, {"steps": 0}, {"batch": 0}, {"lr": -1.0}, {"settle": 1.5}, {"drop": 1.0}],
)
def test_senseless_recipes_are_refused(options: dict[str, float | None]) -> None:
    with pytest.raises(TritforgeError, match=r"minutes|positive|share|more"):
        replace(RECIPE, **options)


def test_the_rate_rises_and_falls() -> None:
    rates = [RECIPE.rate(n / 1000) for n in range(1001)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(RECIPE.lr, rel=0.01) and rates[-1] == 0


@pytest.mark.parametrize("muon", [False, True])
def test_the_ternary_matrices_rest_at_the_end_and_nothing_else_does(tmp_path: Path, muon: bool) -> None:
    recipe = replace(RECIPE, settle=0.25, muon=muon)
    assert recipe.rate(0.74) > 0 == recipe.rate(0.75) < recipe.rate(0.99, False)
    run = trainer(tmp_path, recipe)
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    run._advance(0.8)
    resting = {name for name, value in run.model.named_parameters() if torch.equal(value, before[name])}
    assert resting == {f"{name}.weight" for name in CONFIG.linear_shapes()}


def test_a_run_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    first = trainer(tmp_path / "a", replace(RECIPE, steps=60))
    first.run()
    second = trainer(tmp_path / "b")
    second.start_from(tmp_path / "a/best")
    assert second.evaluate() == pytest.approx(first.best, rel=1e-3)
    config = replace(CONFIG, layers=1)
    with pytest.raises(TritforgeError, match="give the same"):
        trainer(tmp_path / "c", config=config).start_from(tmp_path / "a/best")


def test_a_token_that_a_checkpoint_never_met_breaks_nothing(tmp_path: Path) -> None:
    config, odd = replace(CONFIG, layers=8), 77
    weights = trainer(tmp_path / "a", config=config).stored()
    weights["model.embeddings.weight"][odd] = 0
    write_checkpoint(tmp_path / "zero", config, weights)
    tokens = torch.full((600,), odd)
    tokens[::5] = CODEC.encode("\n")[0]
    labelled = Labelled(tokens, tokens[:, None].to(torch.int16), torch.ones(600, 1, dtype=torch.float16))
    run = trainer(tmp_path / "b", replace(RECIPE, steps=2), config, labelled)
    run.start_from(tmp_path / "zero")
    run.run()
    assert all(value.isfinite().all() for value in run.model.parameters())


def test_a_run_that_diverges_ends(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    torch.nn.init.constant_(run.model.model.norm.weight, math.nan)
    with pytest.raises(TritforgeError, match="no longer a number"):
        run.run()
    assert not (tmp_path / "state.pt").exists()


def ensemble(count: int, keep: int = 5) -> tuple[list[TrainModel], train_dream.Ensemble]:
    torch.manual_seed(0)
    models = [TrainModel(CONFIG).eval() for _ in range(count)]
    for model in models:
        torch.nn.init.constant_(model.lm_head.norm.weight, 20.0)
    return models, train_dream.Ensemble(models, keep, seed=1)


def test_an_ensemble_samples_and_labels_by_its_mean() -> None:
    models, teachers = ensemble(2)
    with torch.inference_mode():
        chance = sum(model(torch.ones(1, 1, dtype=torch.int64))[0][0, -1].softmax(-1) for model in models) / 2
    dreams = teachers.dream(20_000, 1)
    share = dreams.tokens[:, 0].bincount(minlength=CONFIG.vocab) / 20_000
    assert (share - chance).abs().max() < 0.006
    chances, pieces = dreams.chances[:, 0].float(), dreams.pieces[:, 0].long()
    assert (pieces.sort().values.diff() > 0).all()
    torch.testing.assert_close(chances.sum(-1), torch.ones(20_000), rtol=0, atol=2e-3)
    mean = torch.zeros(CONFIG.vocab).index_add(0, pieces.flatten(), chances.flatten()) / 20_000
    assert (mean - chance).abs().max() < 0.006
    assert torch.equal(pieces[:, :4].sort().values[0], chance.topk(4).indices.sort().values)


def test_a_text_is_labelled_with_the_state_carried() -> None:
    (model,), teachers = ensemble(1)
    tokens = torch.tensor(CODEC.encode(TALE)[:601])
    labelled = teachers.label(tokens, 2)
    assert torch.equal(labelled.tokens, tokens[:600])
    with torch.inference_mode():
        first = model(torch.cat((torch.tensor([1]), tokens[:299]))[None])[0][0].softmax(-1)
        second = model(tokens[None, 299:599])[0][0].softmax(-1)
    top = torch.cat((first, second)).topk(4)
    torch.testing.assert_close(labelled.chances[:, :4].float(), top.values, rtol=1e-2, atol=1e-4)


def test_neighbours_are_those_that_the_tokenizer_leaves() -> None:
    pairs, random = neighbours(CODEC), torch.Generator().manual_seed(0)
    ids = torch.tensor(CODEC.encode(TALE))
    noisy = torch.tensor(encode_variants(CODEC, TALE, 0.3)[len(ids) :])
    assert pairs[1, ids[0]] and pairs[ids[:-1], ids[1:]].all()
    assert not pairs[noisy[:-1], noisy[1:]].all()
    pieces = torch.cat((torch.arange(35, 130), torch.arange(259, CODEC.vocab), ids.unique()))
    verdicts = []
    for _ in range(1000):
        some = pieces[torch.randint(len(pieces), (3,), generator=random)]
        verdicts.append(bool(pairs[1, some[0]] and pairs[some[:-1], some[1:]].all()))
        assert verdicts[-1] == (CODEC.encode(CODEC.decode(some.tolist())) == some.tolist())
    assert 50 < sum(verdicts) < 950


def test_an_ensemble_keeps_to_the_neighbours() -> None:
    models, _ = ensemble(1)
    pairs = neighbours(CODEC)
    dreams = train_dream.Ensemble(models, 5, 1, pairs).dream(50, 20)
    before = torch.cat((torch.ones(50, 1, dtype=torch.int64), dreams.tokens[:, :-1]), 1)
    assert pairs[before, dreams.tokens].all()
    assert pairs[before[..., None], dreams.pieces.long()][dreams.chances > 0].all()
    torch.testing.assert_close(dreams.chances.float().sum(-1), torch.ones(50, 20), rtol=0, atol=2e-3)


def test_dreams_end_with_a_whole_paragraph() -> None:
    tokens = torch.tensor([[5, 9, 6, 9, 7], [5, 6, 7, 5, 6], [9, 5, 5, 5, 9]])
    dreams = Labelled(tokens, tokens[..., None], 2 * tokens[..., None])
    joined = train_dream.whole_paragraphs(dreams, newline=9)
    assert joined.tokens.tolist() == [5, 9, 6, 9, 9, 5, 5, 5, 9]
    assert torch.equal(joined.chances, 2 * joined.tokens[:, None])


def test_labelled_texts_are_joined(tmp_path: Path) -> None:
    parts = [Labelled(random(n, 1)[:, 0], random(n, 3), random(n, 3)) for n in (4, 6)]
    for n, part in enumerate(parts):
        part.save(tmp_path / f"{n}")
    both = Labelled.load([tmp_path / "0", tmp_path / "1"])
    for got, first, second in zip(both, *parts, strict=True):
        assert torch.equal(got, torch.cat((first, second)))
    (tmp_path / "0").write_bytes(b"text")
    for name in "0", "none":
        with pytest.raises(TritforgeError, match="no labelled text"):
            Labelled.load([tmp_path / name])


def test_compressed_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.txt.xz").write_bytes(lzma.compress(TALE.encode()))
    assert read_text(tmp_path / "t.txt.xz") == TALE
    (tmp_path / "t.txt.xz").write_bytes(b"no xz")
    with pytest.raises(TritforgeError, match="no readable text"):
        read_text(tmp_path / "t.txt.xz")


def test_a_model_becomes_as_sure_as_it_is_right(tmp_path: Path) -> None:
    """Outcomes drawn from its own distribution: the best temperature is 1; with logits tripled, it is 3."""
    (model,), teachers = ensemble(1)
    tokens = teachers.dream(1, 3000).tokens[0]
    for factor in (1.0, 3.0):
        torch.nn.init.constant_(model.lm_head.norm.weight, 20.0 * factor)
        sharpness, before, after = train_calibrate.best_sharpness(model, tokens)
        assert abs(sharpness * factor - 1) < 0.05
        assert abs(train_calibrate.cost(model, tokens, sharpness)[1]) < 1e-3
        for near in (0.98 * sharpness, 1.02 * sharpness):
            assert after < train_calibrate.cost(model, tokens, near)[0]
        assert after <= before == train_calibrate.cost(model, tokens, 1.0)[0]
    source, out, text = tmp_path / "sure", tmp_path / "mended", tmp_path / "tale.txt"
    write_checkpoint(source, CONFIG, {name: value.float() for name, value in model.state_dict().items()})
    CODEC.tokenizer.save(str(source / "tokenizer.json"))
    text.write_text(TALE)
    found = train_calibrate.calibrate(source, text, out)
    scores = [
        bits_per_character(ReferenceModel.from_checkpoint(Checkpoint(folder)), TextCodec.from_folder(folder), TALE)[0]
        for folder in (source, out)
    ]
    assert found[1:] == pytest.approx(scores, rel=1e-4)
    assert scores[1] < scores[0]
    changed = [
        n for n in Checkpoint(out).names() if not torch.equal(Checkpoint(out).tensor(n), Checkpoint(source).tensor(n))
    ]
    assert changed == [train_calibrate.LAST_GAIN]
    (source / "tokenizer.json").unlink()
    with pytest.raises(TritforgeError, match="is missing; fetch it with the checkpoint"):
        train_calibrate.calibrate(source, text, out)

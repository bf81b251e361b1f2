"""Every rule has a trace on which it fires, at an exact step, and a healthy one on which it never does."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from monitor.rules import RULE_NAMES, RulesConfig, diagnose
from monitor.rules.describe.view import View
from monitor.rules.lab.examples import CALM, FIRING, HEALTHY, T, Trace, composite, falling, noise, series
from monitor.rules.sketch.curve import Curve


def test_every_rule_has_a_trace() -> None:
    assert tuple(FIRING) == RULE_NAMES


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_fires_at_the_exact_step_with_its_evidence(rule: str) -> None:
    trace = FIRING[rule]
    first = next(finding for finding in trace.diagnose().findings if finding.rule == rule)
    assert first.fired_step == trace.fired
    assert trace.onset is None or first.onset_step == trace.onset
    assert first.onset_step <= first.fired_step
    assert first.evidence and first.explanation.endswith((".", ")")) and first.advice


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_a_step_in_a_sentence_is_whole_however_long_the_run(rule: str) -> None:
    trace = FIRING[rule]
    found = {part: _moved(getattr(trace, part)) for part in ("train", "val", "grad_norm", "goal")}
    many = {part: {k: _moved(v) for k, v in (getattr(trace, part) or {}).items()} for part in ("parts", "weights")}
    diagnosis = replace(trace, **found, **many).diagnose()
    assert rule in {finding.rule for finding in diagnosis.findings}
    advice = diagnosis.recommendation
    said = [finding.explanation + finding.advice for finding in diagnosis.findings]
    said += [diagnosis.headline, advice.reason, *(pending.explanation for pending in advice.pending)]
    assert not [text for text in said if re.search(r"(?:step|at|since) \d(?:\.\d+)?e\+", text)]
    named = {place.replace(",", "") for text in said for place in re.findall(r"step (\d[\d,]*\d)", text)}
    assert named and all(int(place) > 40_000_000 for place in named)


def _moved(points: object) -> object:
    """The same points at steps that need eight digits."""
    if points is None or isinstance(points, float):
        return points
    return np.add(points, (41_234_567.0, 0.0))


@pytest.mark.parametrize("rule", [name for name in RULE_NAMES if name not in ("convergence", "improving")])
def test_never_fires_on_the_healthy_trace(rule: str) -> None:
    assert rule not in {finding.rule for finding in HEALTHY.diagnose().findings}
    assert rule not in {finding.rule for finding in CALM.diagnose().findings}


@pytest.mark.parametrize(("rule", "other"), [("convergence", "improving"), ("improving", "convergence")])
def test_a_run_either_improves_or_has_converged(rule: str, other: str) -> None:
    findings = FIRING[other].diagnose().findings
    assert [f.rule for f in findings if f.state == "firing" and f.rule in (rule, other)] == [other]


def test_a_validation_loss_that_has_turned_up_is_not_called_flat() -> None:
    plateau = np.concatenate([np.full(6, 0.5), 0.5 + 0.01 * np.arange(1, 13)])
    val = np.concatenate([falling(24, 0.5, 8), plateau])
    found = diagnose(series(falling(420, 0.1, 3) + 0.002 * noise(420)), series(val, 10))
    assert {f.rule for f in found.findings if f.state == "firing"} == {"overfitting"}


def test_a_loss_that_blew_up_and_levels_off_is_still_diverged() -> None:
    early = np.concatenate([[2.3, 2.3, 9, 80, 900, 9000], 20 + 8 * np.abs(noise(200))])
    late = np.concatenate([falling(320, 0.05, 8), [0.5, 1.2], np.full(400, 2.35) + 0.02 * noise(400)])
    for train in (early, late):
        assert next(f.rule for f in diagnose(series(train)).findings if f.state == "firing") == "divergence"


def test_validation_that_rises_from_the_first_epoch_on_is_overfitting() -> None:
    epochs = np.arange(1, 41)
    train = series(0.7 * np.exp(-epochs / 6), start=1)
    found = diagnose(train, series(0.7 + 0.015 * epochs, start=1), unit="epoch")
    assert found.verdict == "overfitting"
    assert not {f.rule for f in found.findings} & {"stagnation"}


def test_validation_that_rises_while_training_is_back_from_a_spike_is_overfitting() -> None:
    train = falling(1200, 1.7, 8) + 0.02 * noise(1200)
    train[700:] += 2 * np.exp(-np.arange(500) / 60)
    val = np.where(np.arange(30) < 17, 2.3 + 0.8 * np.exp(-np.arange(30) / 5), 2.3 + 0.15 * (np.arange(30) - 16))
    assert diagnose(series(train), series(val, 40)).verdict == "overfitting"


def test_fewer_runs_whose_batch_noise_has_a_heavy_tail_are_told_to_have_spikes() -> None:
    def said(limits: dict[str, float]) -> int:
        config = RulesConfig.from_mapping({"spike": limits})
        curves = (series(falling(2000, 0.2, 3) * np.exp(0.7 * noise(2000, seed))) for seed in range(20))
        return sum("spike" in {f.rule for f in diagnose(curve, config=config).findings} for curve in curves)

    assert said({}) < said({"record": 0})


def test_one_large_jump_and_a_bump_after_it_are_no_oscillation() -> None:
    t = np.arange(1200)
    bump = 0.01 * np.exp(-(((t - 880) / 40) ** 2))
    values = 0.02 + 0.2 * np.exp(-t / 60) + (t >= 600) * (np.exp(-(t - 600) / 30.0) - 0.018) + bump
    assert "oscillation" not in {f.rule for f in diagnose(series(values * np.exp(0.05 * noise(1200)))).findings}


def test_a_shift_of_the_data_that_is_learned_is_no_divergence() -> None:
    train = falling(1000, 0.1, 8) + 0.01 * noise(1000)
    train[500:] += 1.5 * np.exp(-np.arange(500) / 90)
    assert "divergence" not in {f.rule for f in diagnose(series(train)).findings}


def test_a_loss_that_levels_off_high_up_has_diverged_however_high_its_peak_was() -> None:
    train = np.r_[falling(500, 0.05, 10), 2.1 + 8 * np.exp(-np.arange(300) / 8)] + 0.01 * noise(800)
    found = next(f for f in diagnose(series(train)).findings if f.rule == "divergence")
    assert (found.state, found.fired_step) == ("firing", 595)


def test_a_jump_that_stays_is_told_without_waiting_for_a_tenth_of_the_run() -> None:
    train = np.r_[falling(900, 0.05, 10), np.full(100, 5.0)] + 0.01 * noise(1000)
    assert next(f.fired_step for f in diagnose(series(train)).findings if f.rule == "divergence") == 967


def test_a_wave_is_no_divergence_once_one_has_come_back() -> None:
    wave = 1 - 0.7 * np.sin(2 * np.pi * np.arange(600) / 60)
    found = diagnose(series(wave), series(wave[::10], 10))
    assert found.verdict == "oscillation"
    assert [f for f in found.findings if f.rule == "divergence" and f.fired_step > 100] == []


def test_noise_about_the_start_is_mostly_told_as_stagnation_however_large() -> None:
    said = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        train, val = rng.gamma(4, 3, 500), rng.normal(12, 0.9, 50)
        said.append(diagnose(series(train), series(val, 10, 10)).verdict)
    assert said.count("stagnation") >= 15  # 9 where noise passed for progress


def test_validation_that_jumps_from_one_evaluation_to_the_next_oscillates_and_batch_noise_does_not() -> None:
    def said(shake: float) -> str:
        return diagnose(series(3 + shake * noise(1500)), series(3 + shake * noise(60, 1), 25, 25)).verdict

    assert [said(shake) for shake in (1.0, 0.05)] == ["oscillation", "stagnation"]


def test_a_loss_that_falls_by_a_thousandth_an_epoch_stagnates() -> None:
    epochs = np.arange(12)
    assert diagnose(series(0.7 - 0.0005 * epochs), series(0.7 - 0.0002 * epochs), unit="epoch").verdict == "stagnation"


def test_a_loss_that_jumps_at_once_and_stays_is_measured_from_its_first_value() -> None:
    train = np.concatenate([[5.0, 25, 70], 150 + 20 * noise(500)])
    found = diagnose(series(train))
    assert found.verdict == "divergence"
    assert found.recommendation.first_stop_step is not None
    assert found.recommendation.first_stop_step < 50


def test_an_explosion_late_in_a_run_is_told_within_a_quarter_of_a_bucket() -> None:
    train = falling(800) + 0.02 * noise(800)
    train[600:] = 1e9
    assert next(f.fired_step for f in diagnose(series(train)).findings if f.rule == "divergence") <= 615


def test_an_explosion_that_comes_down_from_far_up_is_no_spike_while_it_is_far_up() -> None:
    loss = np.r_[np.geomspace(0.45, 0.1, 80), np.geomspace(1e11, 1e6, 20)]
    epochs = np.arange(1.0, 101.0)
    found = diagnose(np.c_[epochs, loss], np.c_[epochs, 1.1 * loss], unit="epoch")
    (fired,) = [f for f in found.findings if f.rule == "divergence"]
    assert (fired.state, found.recommendation.action) == ("firing", "stop")
    assert fired.fired_step <= 90

    back = np.r_[loss[:84], np.full(16, 0.1)]
    found = diagnose(np.c_[epochs, back], np.c_[epochs, 1.1 * back], unit="epoch")
    assert "divergence" not in {f.rule for f in found.findings if f.state == "firing"}


def test_one_nan_after_an_explosion_is_enough_for_a_stop() -> None:
    train = np.concatenate([falling(600) + 0.02 * noise(600), [1e6, 1e12, np.nan, 2.0]])
    stops = [
        diagnose(series(curve)).recommendation.first_stop_step for curve in (train, np.append(train[:600], np.nan))
    ]
    assert stops == [602, None]


def test_a_growing_gap_over_a_flat_validation_loss_is_not_overfitting() -> None:
    train = series(falling(1000, 0.001) + 0.01 * noise(1000))
    val = series(falling(100, 0.5, 20) + 0.005 * noise(100, 3), 10)
    found = diagnose(train, val)
    assert "overfitting" not in {finding.rule for finding in found.findings}
    assert found.recommendation.first_stop_step is None


FEW = series(np.array([1.6, 1.2, 0.9, 0.7, 0.55, 0.45, 0.38, 0.33, 0.29, 0.26, 0.24, 0.22, 0.2]))
EARLY = RulesConfig.from_mapping({"overfitting": {"z": 6, "likely_z": 5}})
"""Advises a stop before overfitting is certain."""
TURNS = series(np.array([1.7, 1.4, 1.2, 1.1, 1.05, 1.03, 1.05, 1.06, 1.09, 1.1, 1.14, 1.16, 1.2]))


def test_a_stop_is_advised_while_overfitting_is_only_likely_and_nothing_is_accused() -> None:
    found = diagnose(FEW[:10], TURNS[:10], unit="epoch", config=EARLY)
    assert "overfitting" not in {finding.rule for finding in found.findings}
    assert found.recommendation.first_stop_step == found.recommendation.stop_step == 9
    assert found.recommendation.best_step == 5 and "likely since epoch 5" in found.recommendation.reason
    assert found.verdict == "overfitting" and found.headline.startswith("Overfitting is likely: the validation loss is")
    certain = diagnose(FEW, TURNS, unit="epoch", config=EARLY)
    assert certain.verdict == "overfitting" and certain.recommendation.stop_step == 9


def test_a_likely_finding_advises_nothing_where_the_project_asked_for_patience() -> None:
    config = RulesConfig.from_mapping({"overfitting": {"patience": 3, "unit": "evals"}})
    assert diagnose(FEW[:10], TURNS[:10], unit="epoch", config=config).recommendation.first_stop_step is None


def test_a_stop_on_likely_overfitting_is_withdrawn_when_validation_comes_down_again() -> None:
    train = [*FEW, *series(0.2 - 0.01 * np.arange(8), start=13)]
    val = [*TURNS[:10], *series(np.linspace(1.05, 0.6, 11), start=10)]
    found = diagnose(train, val, unit="epoch", config=EARLY)
    assert found.recommendation.first_stop_step == 9 and found.recommendation.action == "continue"
    assert "overfitting" not in {finding.rule for finding in found.findings}


def test_a_validation_loss_on_a_scale_of_its_own_may_overfit() -> None:
    """A sum beside a mean: it is never below where training began, and that is no memorising."""
    train = 1.9 + 0.5 * np.exp(-np.arange(60) / 20)
    val = 100 * np.r_[np.linspace(4.6, 4.4, 15), np.linspace(4.4, 4.75, 45)] + 0.2 * noise(60)
    found = diagnose(series(train), series(val), unit="epoch")
    assert found.verdict == "overfitting" and found.recommendation.action == "stop"


def test_a_drop_of_the_learning_rate_after_a_plateau_is_no_alarm() -> None:
    values = np.concatenate([1 + falling(300, 0, 12), 0.4 + falling(300, 0, 12) * 0.3]) + 0.02 * noise(600)
    found = diagnose(series(values), series(values[::10] + 0.05, 10), lr=series(np.repeat([0.1, 0.01], 300)))
    assert {finding.rule for finding in found.findings} <= {"convergence", "improving"}


def test_delayed_generalisation_is_looked_at_and_not_killed() -> None:
    step = np.arange(0, 4000, 20)
    train = 4.6 * np.exp(-step / 100) + 1e-4
    val = np.where(step < 2500, 4.6 + 8 * (1 - np.exp(-step / 400)), 12.6 * np.exp(-(step - 2500) / 120) + 0.01)
    found = diagnose(np.c_[step, train], np.c_[step, val])
    assert found.recommendation.first_stop_step is None
    assert next(f for f in found.findings if f.rule == "stagnation").state == "resolved"


def test_a_spike_with_a_slow_recovery_is_not_a_divergence() -> None:
    values = falling(900, 0.05) + 0.01 * noise(900)
    values[500:] += 3 * np.exp(-np.arange(400) / 15)
    rules = {finding.rule for finding in diagnose(series(values), series(falling(45, 0.1), 20)).findings}
    assert "spike" in rules and "divergence" not in rules


def test_epoch_wise_double_descent_resolves_the_finding_and_withdraws_the_stop() -> None:
    epoch = np.arange(200)
    val = 0.5 + 1.5 * np.exp(-epoch / 8) + 0.6 * np.exp(-(((epoch - 70) / 25) ** 2)) - 0.3 * (epoch > 110) * (
        1 - np.exp(-(epoch - 110) / 20.0)
    )  # fmt: skip
    found = diagnose(np.c_[epoch, 2 * np.exp(-epoch / 25)], np.c_[epoch, val], unit="epoch")
    overfitting = next(f for f in found.findings if f.rule == "overfitting")
    assert overfitting.state == "resolved" and overfitting.resolved_step is not None
    assert found.recommendation.stop_step is None
    stopped = found.recommendation.first_stop_step
    assert stopped is not None and overfitting.onset_step < stopped <= overfitting.fired_step


def test_collapse_to_chance_after_early_progress_is_divergence() -> None:
    values = np.concatenate([falling(400, 0.05), np.full(400, 2.303)]) + 0.01 * noise(800)
    found = diagnose(series(values), series(values[::20], 20))
    assert found.verdict == "divergence"
    assert found.recommendation.first_stop_step is not None and found.recommendation.first_stop_step < 480


def test_a_small_net_on_noisy_digits_is_stopped_well_before_the_end() -> None:
    step = np.arange(1500)
    train = 2.3 * np.exp(-step / 120) + 0.01 + 0.1 * np.exp(-step / 300) * noise(1500)
    at = np.arange(0, 1500, 25)
    val = 1.2 + 1.1 * np.exp(-at / 60) + 0.0012 * np.maximum(at - 150, 0) + 0.02 * noise(60, 5)
    advice = diagnose(np.c_[step, train], np.c_[at, val]).recommendation
    assert advice.action == "stop" and advice.first_stop_step is not None and advice.first_stop_step < 600
    assert advice.best_step is not None and advice.best_step < advice.first_stop_step


def test_a_non_finite_loss_that_mixed_precision_skips_is_resolved() -> None:
    values = falling(300) + 0.01 * noise(300)
    values[100] = math.inf
    found = diagnose(series(values))
    assert [(f.rule, f.state) for f in found.findings if f.severity == "critical"] == [("nan", "resolved")]
    assert found.recommendation.first_stop_step is None


def test_a_warm_up_that_goes_up_first_is_no_divergence() -> None:
    step = np.arange(2000)
    values = falling(2000) + 3 * np.exp(-(((step - 50) / 25.0) ** 2)) + 0.03 * noise(2000)
    found = diagnose(series(values), series(values[::20], 20))
    assert found.recommendation.first_stop_step is None


def test_a_resumed_run_is_judged_as_one_curve() -> None:
    step = np.concatenate([np.arange(500), np.arange(250, 750)])
    values = np.interp(step, np.arange(750), falling(750)) + 0.03 * noise(1000)
    found = diagnose(np.c_[step, values], np.c_[step, values][::10])
    assert {finding.rule for finding in found.findings} <= {"convergence", "improving"}
    assert found.counts.late > 0


def test_a_resolved_finding_keeps_the_numbers_of_when_it_fired() -> None:
    spike = next(finding for finding in FIRING["spike"].diagnose().findings if finding.rule == "spike")
    assert spike.state == "resolved" and spike.evidence["top"] == 9.0 and "lasted" in spike.evidence
    reported = f"Reported at step {spike.fired_step:g}: The training loss jumped from"
    assert spike.explanation.startswith(reported) and "Over by step" in spike.explanation


def test_a_share_does_not_mind_the_scale_and_is_small_where_the_level_is_next_to_nothing() -> None:
    def share(scale: float, low: float, high: float) -> float:
        curve = Curve(40, 16)
        for i in range(20):
            curve.push(scale * 4 * np.exp(-i / 2.0), float(i))
        return View(curve).share(scale * low, scale * high)

    assert share(1, 1.0, 1.5) == pytest.approx(share(1e6, 1.0, 1.5), rel=1e-6)
    assert share(1, 1.0, 1.5) > 0.2 > share(1, 1e-3, 2e-3)
    assert share(1, 1.0, 1.0) == 0.0


def fired(trace: Trace, rule: str) -> str | None:
    """The sentence of a rule that fires on a trace."""
    return next((f.explanation for f in trace.diagnose().findings if f.rule == rule), None)


@pytest.mark.parametrize("norm", [0.0, 1e-12, 3e-8])
def test_a_gradient_that_was_dead_from_the_start_is_seen(norm: float) -> None:
    dead = Trace(train=series(2.3 + 0.01 * noise(600)), grad_norm=series(np.full(600, norm)))
    said = fired(dead, "gradient_vanishing")
    assert said is not None
    assert "from the start" in said
    assert "has not come down" in said or "by only 0%" not in said
    for loss in (2.3, 1e8):  # targets that are not scaled have a gradient of about the root of the loss
        flat = Trace(train=series(loss * (1 + 0.01 * noise(600))), grad_norm=series(np.full(600, 0.1 * loss**0.5)))
        assert fired(flat, "gradient_vanishing") is None


@pytest.mark.parametrize("rate", [1.5, 8.0, 30.0])
def test_a_loss_that_diverges_while_its_gradient_dies_is_not_called_vanishing(rate: float) -> None:
    up = Trace(train=series(2.3 * (1 + rate * T / 600) + 0.01 * noise(600)), grad_norm=series(np.exp(-T / 30)))
    assert fired(up, "gradient_vanishing") is None


@pytest.mark.parametrize("seed", range(5))
def test_a_penalty_that_doubles_the_total_is_seen_however_far_the_data_fell_before(seed: int) -> None:
    data = 0.3 + 4 * np.exp(-T / 20) + 0.005 * noise(600, seed)
    grows = composite({"data": data, "l2": 0.2 + 0.5 * np.maximum(T - 200, 0) / 400 + 0.002 * noise(600, seed + 9)})
    said = fired(grows, "growing_penalty")
    assert said is not None
    assert re.search(r"up from 0\.(19|2)\d*; the data parts ", said)
    level = composite({"data": data, "l2": 0.5 - 0.3 * np.exp(-T / 20) + 0.002 * noise(600, seed + 9)})
    assert fired(level, "growing_penalty") is None


@pytest.mark.parametrize(("fall", "fires"), [(1.1, True), (2.0, True), (5.0, False), (20.0, False)])
def test_a_kl_term_that_goes_while_the_reconstruction_is_learned_has_not_collapsed(fall: float, fires: bool) -> None:
    recon = 100 / fall + (100 - 100 / fall) * np.exp(-T / 60) + 0.1 * noise(600)
    said = fired(composite({"recon": recon, "kl": 20 * np.exp(-T / 30) + 1e-6}), "vanishing_part")
    assert (said is not None) == fires
    assert said is None or "% of where they began" in said


@pytest.mark.parametrize("steps", [60, 400, 3000, 20_000])
@pytest.mark.parametrize("rate", [0.5, 0.115, 0.05, 0.004])
@pytest.mark.parametrize("noisy", [0.0, 0.03])
def test_a_loss_that_grows_by_a_factor_neither_swings_nor_comes_back(steps: int, rate: float, noisy: float) -> None:
    """As under gradient descent whose learning rate is too high: its buckets end far above where they began."""
    at = np.arange(steps)
    flat, rises = 2 * np.exp(-8 * at / steps) + 0.1, np.maximum(at - steps // 2, 0)
    losses = np.minimum(flat * np.exp(np.minimum(rate * rises, 80)), 1e30) * (1 + noisy * noise(steps, 3))
    found = {finding.rule for finding in diagnose(losses).findings}
    assert not found & {"oscillation", "spike"}


def test_a_spike_far_above_the_whole_descent_comes_back_by_its_ratio() -> None:
    losses = 2 * np.exp(-np.arange(400) / 50) + 0.3 + 0.02 * noise(400, 3)
    losses[280:282] += 200
    (found,) = (finding for finding in diagnose(losses).findings if finding.rule == "spike")
    assert found.evidence["top"] == pytest.approx(200.3, abs=0.1)
    assert found.evidence["after"] == pytest.approx(0.3, abs=0.05)

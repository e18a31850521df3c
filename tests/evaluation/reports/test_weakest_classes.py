"""The weakest classes, and confusions by language family, on answers counted by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from made_scores import make_scores

from audio_cls.config import EvalConfig
from audio_cls.evaluation.metrics.intervals import wilson_interval
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.language_families import LANGUAGES, find_families, find_family
from audio_cls.evaluation.reports.report import report_scores
from audio_cls.evaluation.reports.weakest_classes import list_weakest, report_families

FLEURS = """af_za am_et ar_eg as_in ast_es az_az be_by bg_bg bn_in bs_ba ca_es ceb_ph ckb_iq
cmn_hans_cn cs_cz cy_gb da_dk de_de el_gr en_us es_419 et_ee fa_ir ff_sn fi_fi fil_ph fr_fr ga_ie
gl_es gu_in ha_ng he_il hi_in hr_hr hu_hu hy_am id_id ig_ng is_is it_it ja_jp jv_id ka_ge kam_ke
kea_cv kk_kz km_kh kn_in ko_kr ky_kg lb_lu lg_ug ln_cd lo_la lt_lt luo_ke lv_lv mi_nz mk_mk ml_in
mn_mn mr_in ms_my mt_mt my_mm nb_no ne_np nl_nl nso_za ny_mw oc_fr om_et or_in pa_in pl_pl ps_af
pt_br ro_ro ru_ru sd_in sk_sk sl_si sn_zw so_so sr_rs sv_se sw_ke ta_in te_in tg_tj th_th tr_tr
uk_ua umb_ao ur_pk uz_uz vi_vn wo_sn xh_za yo_ng yue_hant_hk zu_za"""
COMMON_LANGUAGE = """Arabic Basque Breton Catalan Chinese_China Chinese_Hongkong Chinese_Taiwan
Chuvash Czech Dhivehi Dutch English Esperanto Estonian French Frisian Georgian German Greek
Hakha_Chin Indonesian Interlingua Italian Japanese Kabyle Kinyarwanda Kyrgyz Latvian Maltese
Mangolian Persian Polish Portuguese Romanian Romansh_Sursilvan Russian Sakha Slovenian Spanish
Swedish Tamil Tatar Turkish Ukranian Welsh"""
VOXLINGUA = """ab af am ar as az ba be bg bn bo br bs ca ceb cs cy da de el en eo es et eu fa fi fo
fr gl gn gu gv ha haw hi hr ht hu hy ia id is it iw ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk
ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sco sd si sk sl sn so sq sr su sv sw ta te tg
th tk tl tr tt uk ur uz vi war yi yo zh"""
NAMES = ("fr_fr", "it_it", "de_de", "sv_se", "fi_fi")


def answer(pairs: str) -> Scores:
    """Make clips from digits, true label and answer: "01" is a clip of label 0 called label 1."""
    true, predicted = (np.array([int(pair[place]) for pair in pairs.split()]) for place in (0, 1))
    ids = np.array([f"clip-{number}" for number in range(len(true))])
    return Scores(ids, true, np.eye(5)[predicted])


def test_the_class_with_the_lowest_recall_comes_first_and_names_what_it_is_taken_for() -> None:
    # Recall: 0 has 1 of 3, 1 has 2 of 2, 2 has 0 of 2, 3 has 1 of 3, 4 has no clip.
    scores = answer("00 02 02 11 11 23 20 33 31 32")
    found = list_weakest(scores, "abcde")
    assert [row["label"] for row in found] == ["c", "a", "d"], "1 has no mistake, 4 no clip"
    assert [row["recall"] for row in found] == [0, 0.333333, 0.333333]
    assert found[1] == {
        "label": "a", "recall": 0.333333, "support": 3, "taken_for": "c", "taken_for_count": 2,
        "recall_ci95": [round(bound, 6) for bound in wilson_interval(1, 3)],
    }  # fmt: skip


def test_ten_of_many_classes_are_reported_and_none_of_few() -> None:
    many = report_scores(make_scores(400, 30), [f"c{n}" for n in range(30)], EvalConfig(), None)
    assert len(many["weakest_classes"]) == 10
    recalls = [row["recall"] for row in many["weakest_classes"]]
    assert recalls == sorted(recalls)
    assert recalls[-1] <= sorted(row["recall"] for row in many["per_class"].values())[9]
    few = report_scores(make_scores(400, 20), [f"c{n}" for n in range(20)], EvalConfig(), None)
    assert "weakest_classes" not in few


def test_the_weakest_of_many_labels_a_clip_have_the_lowest_average_precision() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((80, 25)) < 0.2).astype(np.int64)
    targets[:, 3] = 0
    probabilities = np.clip(0.5 * targets + rng.random((80, 25)) * 0.6, 0, 1).round(6)
    scores = Scores(np.array([f"c{n}" for n in range(80)]), targets, probabilities)
    report = report_scores(scores, [f"l{n}" for n in range(25)], EvalConfig(), None)
    found = [row["average_precision"] for row in report["weakest_classes"]]
    tested = {name: row for name, row in report["per_class"].items() if name != "l3"}
    assert found == sorted(row["average_precision"] for row in tested.values())[:10]
    assert "families" not in report


def test_mistakes_are_counted_within_and_across_families() -> None:
    # Romance: 0 1. Germanic: 2 3. Uralic: 4.
    scores = answer("00 01 01 10 12 22 23 24 33 40")
    found = report_families(scores, NAMES)
    assert found is not None
    assert found["family_accuracy"] == 0.7  # all but 12, 24 and 40
    assert (found["num_mistakes"], found["num_within_family"]) == (7, 4)
    # Six mistakes have one other language of their family among the four other languages.
    assert found["num_within_by_chance"] == 6 * 0.25
    assert list(found["by_family"]) == ["Romance", "Germanic", "Uralic"], "most clips first"
    assert found["by_family"]["Romance"] == {
        "labels": ["fr_fr", "it_it"], "num_examples": 5, "accuracy": 0.2, "family_accuracy": 0.8,
        "taken_for": {"Germanic": 1},
    }  # fmt: skip
    assert found["by_family"]["Germanic"]["taken_for"] == {"Uralic": 1}
    assert found["by_family"]["Uralic"]["family_accuracy"] == 0


@pytest.mark.parametrize(
    ("listed", "count"), [(FLEURS, 102), (COMMON_LANGUAGE, 45), (VOXLINGUA, 107)]
)
def test_every_language_of_the_usual_data_sets_has_a_family(listed: str, count: int) -> None:
    names = listed.split()
    assert len(set(names)) == count
    assert [name for name in names if find_family(name) is None] == []
    assert find_families(names) == [find_family(name) for name in names]


def test_names_and_codes_of_a_language_are_of_one_family() -> None:
    words = [word for text in LANGUAGES.values() for word in text.replace("|", " ").split()]
    assert [word for word, count in Counter(words).items() if count > 1] == []
    for one, other in (("de_de", "German"), ("cmn_hans_cn", "Chinese_China"), ("iw", "he_il")):
        assert find_family(one) == find_family(other) is not None
    assert find_family("th: Thai") == find_family("lo") == "Tai"


def test_families_are_reported_when_four_of_five_labels_are_languages_and_some_are_related() -> (
    None
):
    assert find_families(["fr", "it", "de", "sv", "noise"]) is not None
    assert find_families(["fr", "it", "de", "noise", "music"]) is None
    assert find_families(["fr", "de", "ru"]) is None, "a language a family says nothing new"
    assert find_families(["fr", "it", "es"]) is None, "one family alone neither"
    assert find_families(["yes", "no", "up", "on", "go", "stop"]) is None
    assert report_families(answer("00 11"), ["blues", "jazz", "rock", "pop", "metal"]) is None


def test_answers_without_a_mistake_have_families_too() -> None:
    found = report_families(answer("00 11 22"), NAMES)
    assert found is not None
    assert (found["num_mistakes"], found["num_within_by_chance"]) == (0, 0)
    assert set(found["by_family"]) == {"Romance", "Germanic"}, "Uralic has no clip"

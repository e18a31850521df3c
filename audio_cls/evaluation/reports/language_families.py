"""Language families: the family of each label of a language identification task.

Families are as fine as typical confusions: within Indo-European and Atlantic-Congo they are
branches (Germanic, Bantu ...), otherwise the family itself; constructed languages and creoles are
separate. For the labels of FLEURS (`af_za`), common_language (`Chinese_China`) and VoxLingua107
(`th`, or `th: Thai`): codes of ISO 639-1 or 639-3, with or without a region, and English names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_KNOWN = 0.8  # share of the labels that must be languages; else it is another task

# Family -> its languages, separated by |: codes, then the first word of the English name.
LANGUAGES: dict[str, str] = {
    "Afroasiatic": "am amh amharic|ar ara arabic|ha hau hausa|he heb iw hebrew|kab kabyle"
    "|mt mlt maltese|om orm oromo|so som somali|ti tir tigrinya",
    "Albanian": "sq sqi albanian",
    "Armenian": "hy hye armenian",
    "Atlantic": "ff ful fulah|wo wol wolof",
    "Austroasiatic": "km khm khmer|vi vie vietnamese",
    "Austronesian": "ceb cebuano|fil tl tgl filipino tagalog|haw hawaiian|id ind indonesian"
    "|jv jw jav javanese|mg mlg malagasy|mi mri maori|ms msa malay|su sun sundanese|war waray",
    "Baltic": "lt lit lithuanian|lv lav latvian",
    "Bantu": "kam kamba|lg lug ganda|ln lin lingala|nso pedi sepedi|ny nya nyanja chichewa"
    "|rw kin kinyarwanda|sn sna shona|sw swa swahili|umb umbundu|xh xho xhosa|zu zul zulu",
    "Basque": "eu eus basque",
    "Celtic": "br bre breton|cy cym welsh|ga gle irish|gv glv manx",
    "Constructed": "eo epo esperanto|ia ina interlingua",
    "Creole": "ht hat haitian|kea kabuverdianu",
    "Dravidian": "kn kan kannada|ml mal malayalam|ta tam tamil|te tel telugu",
    "Germanic": "af afr afrikaans|da dan danish|de deu german|en eng english|fo fao faroese"
    "|fy fry frisian|is isl icelandic|lb ltz luxembourgish|nb nob bokmal|nl nld dutch"
    "|nn nno nynorsk|no nor norwegian|sco scots|sv swe swedish|yi yid yiddish",
    "Greek": "el ell greek",
    "Guarani": "gn grn guarani",
    "Indo-Aryan": "as asm assamese|bn ben bengali|dv div dhivehi|gu guj gujarati|hi hin hindi"
    "|mr mar marathi|ne nep nepali|or ori ory oriya odia|pa pan punjabi|sa san sanskrit"
    "|sd snd sindhi|si sin sinhala|ur urd urdu",
    "Iranian": "ckb sorani|fa fas persian|ps pus pashto|tg tgk tajik",
    "Japonic": "ja jpn japanese",
    "Kartvelian": "ka kat georgian",
    "Koreanic": "ko kor korean",
    "Mongolic": "mn mon mongolian mangolian",
    "Nilotic": "luo",
    "Northwest Caucasian": "ab abk abkhaz abkhazian",
    "Romance": "ast asturian|ca cat catalan|es spa spanish|fr fra french|gl glg galician"
    "|it ita italian|la lat latin|oc oci occitan|pt por portuguese|rm roh romansh|ro ron romanian",
    "Sino-Tibetan": "bo bod tibetan|cnh hakha|my mya burmese|yue cantonese"
    "|zh cmn zho chinese mandarin",
    "Slavic": "be bel belarusian|bg bul bulgarian|bs bos bosnian|cs ces czech|hr hrv croatian"
    "|mk mkd macedonian|pl pol polish|ru rus russian|sk slk slovak|sl slv slovenian"
    "|sr srp serbian|uk ukr ukrainian ukranian",
    "Tai": "lo lao|th tha thai",
    "Turkic": "az aze azerbaijani|ba bak bashkir|cv chv chuvash|kk kaz kazakh|ky kir kyrgyz"
    "|sah sakha|tk tuk turkmen|tr tur turkish|tt tat tatar|uz uzb uzbek",
    "Uralic": "et est estonian|fi fin finnish|hu hun hungarian",
    "Volta-Niger": "ig ibo igbo|yo yor yoruba",
}
FAMILY_OF = {
    word: family
    for family, languages in LANGUAGES.items()
    for language in languages.split("|")
    for word in language.split()
}


def find_family(label: str) -> str | None:
    """Return the family of the language that a label names; None for another label.

    The first word of the label is looked up; a region, script or name may follow.

    >>> find_family("cmn_hans_cn"), find_family("th: Thai"), find_family("Chinese_Taiwan")
    ('Sino-Tibetan', 'Tai', 'Sino-Tibetan')
    """
    return FAMILY_OF.get(re.split(r"[^a-z]+", label.strip().lower(), maxsplit=1)[0])


def find_families(names: Sequence[str]) -> list[str] | None:
    """Return the family of each label, "other" for unknown ones; None for another task.

    At least `MIN_KNOWN` of the labels must be known, and a family must have two languages: with one
    language in each family, confusions of families are those of languages.

    >>> find_families(["fr", "it", "de", "sv", "noise"])
    ['Romance', 'Romance', 'Germanic', 'Germanic', 'other']
    """
    found = [find_family(name) for name in names]
    known = [family for family in found if family is not None]
    if len(known) < MIN_KNOWN * len(names) or not 1 < len(set(known)) < len(known):
        return None
    return [family or "other" for family in found]

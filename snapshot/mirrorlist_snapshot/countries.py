"""Countries and their continents, for databases and sources that name only the country.

The codes are those that ISO 3166-1 alpha-2 assigns, and XK (Kosovo, user-assigned, in every geo database). The
continents follow the country-codes table of the datasets project (ODC-PDDL), as the geo databases do. Sources can
override them: Cyprus, Turkey and the Caucasus belong to Asia or Europe only by convention.
"""

from __future__ import annotations

from typing import Final

_BY_CONTINENT: Final = {
    "AF": "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ"
    " NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    "AN": "AQ BV GS HM TF",
    "AS": "AE AF AM AZ BD BH BN BT CC CN CX CY GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV"
    " MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    "EU": "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME"
    " MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    "NA": "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX"
    " TC TT US VC VG VI",
    "OC": "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    "SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
}

CONTINENT_OF: Final = {
    country: continent for continent, countries in _BY_CONTINENT.items() for country in countries.split()
}
"""Country -> continent; its keys are the country codes that sources may use."""
CONTINENT_CODES: Final = frozenset(_BY_CONTINENT) - CONTINENT_OF.keys()
"""Codes of continents that are no country's, so that `country=EU` can only mean the continent."""
_ALSO_WRITTEN: Final = {"UK": "GB", "EL": "GR"}
"""Codes that people and the European Union write -> ISO 3166-1. ISO reserves UK and assigns EL to no country."""


def country_code(text: str) -> str:
    """Return ISO's code for a country code as people write it, in upper case; what is no country's code stays so."""
    code = text.upper() if text.isascii() else text
    return _ALSO_WRITTEN.get(code, code)

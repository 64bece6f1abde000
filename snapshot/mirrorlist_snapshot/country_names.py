"""Names of countries and continents, for sources and requests that write a name: "Germany" is DE."""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches
from functools import cache
from typing import Final

from mirrorlist_snapshot.countries import CONTINENT_OF, country_code

_CONTINENTS: Final = {
    "AF": ("Africa",),
    "AN": ("Antarctica",),
    "AS": ("Asia",),
    "EU": ("Europe", "European Union"),
    "NA": ("North America", "Northern America", "Central America"),
    "OC": ("Oceania",),
    "SA": ("South America", "Southern America"),
}
# ISO 3166-1 alpha-3, the English name of Unicode's CLDR (Unicode License v3), and other names in use.
_COUNTRIES: Final = (
    "AD AND, Andorra; AE ARE, United Arab Emirates, UAE, Emirates; AF AFG, Afghanistan; AG ATG, Antigua & Barbuda; AI "
    "AIA, Anguilla; AL ALB, Albania; AM ARM, Armenia; AO AGO, Angola; AQ ATA, Antarctica; AR ARG, Argentina; AS ASM, "
    "American Samoa; AT AUT, Austria, Österreich; AU AUS, Australia; AW ABW, Aruba; AX ALA, Åland Islands; AZ AZE, "
    "Azerbaijan; BA BIH, Bosnia & Herzegovina; BB BRB, Barbados; BD BGD, Bangladesh; BE BEL, Belgium, België, "
    "Belgique; BF BFA, Burkina Faso; BG BGR, Bulgaria, Balgaria; BH BHR, Bahrain; BI BDI, Burundi; BJ BEN, Benin; BL "
    "BLM, St. Barthélemy; BM BMU, Bermuda; BN BRN, Brunei, Brunei Darussalam; BO BOL, Bolivia, Plurinational State of "
    "Bolivia; BQ BES, Caribbean Netherlands, Bonaire, Bonaire Sint Eustatius and Saba; BR BRA, Brazil, Brasil; BS "
    "BHS, Bahamas; BT BTN, Bhutan; BV BVT, Bouvet Island; BW BWA, Botswana; BY BLR, Belarus, Belorussia; BZ BLZ, "
    "Belize; CA CAN, Canada; CC CCK, Cocos (Keeling) Islands; CD COD, Congo - Kinshasa, DR Congo, Zaire, Democratic "
    "Republic of the Congo; CF CAF, Central African Republic; CG COG, Congo - Brazzaville, Republic of the Congo, "
    "Congo; CH CHE, Switzerland, Schweiz, Suisse, Svizzera; CI CIV, Côte d'Ivoire, Ivory Coast; CK COK, Cook Islands; "
    "CL CHL, Chile; CM CMR, Cameroon; CN CHN, China; CO COL, Colombia; CR CRI, Costa Rica; CU CUB, Cuba; CV CPV, Cape "
    "Verde, Cabo Verde; CW CUW, Curaçao; CX CXR, Christmas Island; CY CYP, Cyprus; CZ CZE, Czechia, Czech Republic, "
    "Česko; DE DEU, Germany, Deutschland, Federal Republic of Germany; DJ DJI, Djibouti; DK DNK, Denmark, Danmark; DM "
    "DMA, Dominica; DO DOM, Dominican Republic; DZ DZA, Algeria; EC ECU, Ecuador; EE EST, Estonia, Eesti; EG EGY, "
    "Egypt; EH ESH, Western Sahara; ER ERI, Eritrea; ES ESP, Spain, España; ET ETH, Ethiopia; FI FIN, Finland, Suomi; "
    "FJ FJI, Fiji; FK FLK, Falkland Islands, Falkland Islands (Malvinas); FM FSM, Micronesia, Federated States of "
    "Micronesia; FO FRO, Faroe Islands; FR FRA, France; GA GAB, Gabon; GB GBR, United Kingdom, EN, Great Britain, "
    "Britain, England, Scotland, Wales, Northern Ireland, UK; GD GRD, Grenada; GE GEO, Georgia; GF GUF, French "
    "Guiana; GG GGY, Guernsey; GH GHA, Ghana; GI GIB, Gibraltar; GL GRL, Greenland; GM GMB, Gambia; GN GIN, Guinea; "
    "GP GLP, Guadeloupe; GQ GNQ, Equatorial Guinea; GR GRC, Greece, Hellas; GS SGS, South Georgia & South Sandwich "
    "Islands; GT GTM, Guatemala; GU GUM, Guam; GW GNB, Guinea-Bissau; GY GUY, Guyana; HK HKG, Hong Kong SAR China, "
    "Hong Kong; HM HMD, Heard & McDonald Islands, Heard Island and McDonald Islands; HN HND, Honduras; HR HRV, "
    "Croatia, Hrvatska; HT HTI, Haiti; HU HUN, Hungary, Magyarország; ID IDN, Indonesia; IE IRL, Ireland, Éire, "
    "Republic of Ireland; IL ISR, Israel; IM IMN, Isle of Man; IN IND, India; IO IOT, British Indian Ocean Territory; "
    "IQ IRQ, Iraq; IR IRN, Iran, Islamic Republic of Iran; IS ISL, Iceland, Ísland; IT ITA, Italy, Italia; JE JEY, "
    "Jersey; JM JAM, Jamaica; JO JOR, Jordan; JP JPN, Japan, Nippon; KE KEN, Kenya; KG KGZ, Kyrgyzstan, Kyrgyz "
    "Republic; KH KHM, Cambodia; KI KIR, Kiribati; KM COM, Comoros; KN KNA, St. Kitts & Nevis; KP PRK, North Korea, "
    "Democratic People's Republic of Korea; KR KOR, South Korea, Korea, Republic of Korea; KW KWT, Kuwait; KY CYM, "
    "Cayman Islands; KZ KAZ, Kazakhstan; LA LAO, Laos, Lao, Lao People's Democratic Republic; LB LBN, Lebanon; LC "
    "LCA, St. Lucia; LI LIE, Liechtenstein; LK LKA, Sri Lanka; LR LBR, Liberia; LS LSO, Lesotho; LT LTU, Lithuania, "
    "Lietuva; LU LUX, Luxembourg; LV LVA, Latvia, Latvija; LY LBY, Libya; MA MAR, Morocco; MC MCO, Monaco; MD MDA, "
    "Moldova, Republic of Moldova; ME MNE, Montenegro; MF MAF, St. Martin, Saint Martin (French part); MG MDG, "
    "Madagascar; MH MHL, Marshall Islands; MK MKD, North Macedonia, Macedonia, Former Yugoslav Republic of Macedonia; "
    "ML MLI, Mali; MM MMR, Myanmar (Burma), Burma, Myanmar; MN MNG, Mongolia; MO MAC, Macao SAR China, Macau, Macao; "
    "MP MNP, Northern Mariana Islands; MQ MTQ, Martinique; MR MRT, Mauritania; MS MSR, Montserrat; MT MLT, Malta; MU "
    "MUS, Mauritius; MV MDV, Maldives; MW MWI, Malawi; MX MEX, Mexico, México; MY MYS, Malaysia; MZ MOZ, Mozambique; "
    "NA NAM, Namibia; NC NCL, New Caledonia; NE NER, Niger; NF NFK, Norfolk Island; NG NGA, Nigeria; NI NIC, "
    "Nicaragua; NL NLD, Netherlands, Holland, Nederland, The Netherlands; NO NOR, Norway, Norge; NP NPL, Nepal; NR "
    "NRU, Nauru; NU NIU, Niue; NZ NZL, New Zealand; OM OMN, Oman; PA PAN, Panama; PE PER, Peru; PF PYF, French "
    "Polynesia; PG PNG, Papua New Guinea; PH PHL, Philippines; PK PAK, Pakistan; PL POL, Poland, Polska; PM SPM, St. "
    "Pierre & Miquelon; PN PCN, Pitcairn Islands, Pitcairn; PR PRI, Puerto Rico; PS PSE, Palestinian Territories, "
    "Palestine, State of Palestine, Occupied Palestinian Territory; PT PRT, Portugal, Portugal; PW PLW, Palau; PY "
    "PRY, Paraguay; QA QAT, Qatar; RE REU, Réunion; RO ROU, Romania, România; RS SRB, Serbia, Srbija; RU RUS, Russia, "
    "Russian Federation; RW RWA, Rwanda; SA SAU, Saudi Arabia; SB SLB, Solomon Islands; SC SYC, Seychelles; SD SDN, "
    "Sudan; SE SWE, Sweden, Sverige; SG SGP, Singapore; SH SHN, St. Helena, Saint Helena Ascension and Tristan da "
    "Cunha; SI SVN, Slovenia, Slovenija; SJ SJM, Svalbard & Jan Mayen; SK SVK, Slovakia, Slovensko, Slovak Republic; "
    "SL SLE, Sierra Leone; SM SMR, San Marino; SN SEN, Senegal; SO SOM, Somalia; SR SUR, Suriname; SS SSD, South "
    "Sudan; ST STP, São Tomé & Príncipe; SV SLV, El Salvador; SX SXM, Sint Maarten, Sint Maarten (Dutch part); SY "
    "SYR, Syria, Syrian Arab Republic; SZ SWZ, Eswatini, Swaziland; TC TCA, Turks & Caicos Islands; TD TCD, Chad; TF "
    "ATF, French Southern Territories; TG TGO, Togo; TH THA, Thailand; TJ TJK, Tajikistan; TK TKL, Tokelau; TL TLS, "
    "Timor-Leste, East Timor; TM TKM, Turkmenistan; TN TUN, Tunisia; TO TON, Tonga; TR TUR, Türkiye, Turkey; TT TTO, "
    "Trinidad & Tobago; TV TUV, Tuvalu; TW TWN, Taiwan, Republic of China, Taiwan Province of China; TZ TZA, "
    "Tanzania, United Republic of Tanzania; UA UKR, Ukraine, Ukraina; UG UGA, Uganda; UM UMI, U.S. Outlying Islands, "
    "United States Minor Outlying Islands; US USA, United States, United States of America, America, Vereinigte "
    "Staaten; UY URY, Uruguay; UZ UZB, Uzbekistan; VA VAT, Vatican City, Vatican, Holy See, Holy See (Vatican City "
    "State); VC VCT, St. Vincent & Grenadines; VE VEN, Venezuela, Bolivarian Republic of Venezuela; VG VGB, British "
    "Virgin Islands; VI VIR, U.S. Virgin Islands; VN VNM, Vietnam, Viet Nam; VU VUT, Vanuatu; WF WLF, Wallis & "
    "Futuna; WS WSM, Samoa; XK XKX, Kosovo; YE YEM, Yemen; YT MYT, Mayotte; ZA ZAF, South Africa; ZM ZMB, Zambia; ZW "
    "ZWE, Zimbabwe"
)
_LEAST_LIKENESS: Final = 0.8
"""Of a misspelt name: "Germny" is like "Germany", "Iran" is not like "Iraq"."""


def country_named(text: str) -> str | None:
    """Return the code of a country by its name, its alpha-3 code or another code in use; None for anything else."""
    code = country_code(text.strip())
    return code if code in CONTINENT_OF else _find(text, _country_names())


def country_written(text: str) -> str | None:
    """Return the code of a country by its code, UK or EL, its alpha-3 code, or exactly one of its names; else None.

    No name is completed or corrected: a source must never place a mirror in a country that is not meant. A name may
    be as ISO 3166 sorts it: "Korea, Republic of".
    """
    text = text.strip()
    if (code := country_code(text)) in CONTINENT_OF:
        return code
    names = _country_names()
    short = len(text) <= len("DE")  # other codes of two letters are mistakes
    return None if short else next((names[form] for form in _forms(text)[:2] if form in names), None)


def english_name(code: str) -> str:
    """Return the English name of a country (Unicode's CLDR) by its code; the code itself if there is none."""
    return _english_names().get(code, code)


def place_called(text: str) -> str | None:
    """Return the code of a country or continent by exactly one of its names, for requests: the cost is a look-up."""
    name = _plain(text)
    return _country_names().get(name) or _continent_names().get(name)


def continent_named(text: str) -> str | None:
    """Return the code of a continent by its name, or by the name or code of a country on it; None for anything else."""
    found = _find(text, _continent_names())
    if found is None and (country := country_named(text)) is not None:
        return CONTINENT_OF[country]
    return found


def is_continent(text: str) -> bool:
    """Whether text is the code or the name of a continent, and no country's code."""
    code = text.strip().upper()
    return (code in _CONTINENTS and code not in CONTINENT_OF) or _plain(text) in _continent_names()


def _find(text: str, names: dict[str, str]) -> str | None:
    forms = _forms(text)
    if found := next((names[form] for form in forms if form in names), None):
        return found
    close = get_close_matches(forms[0][:40], names, 1, _LEAST_LIKENESS) if len(forms[0]) > len("DEU") else []
    return names[close[0]] if close else None


def _forms(text: str) -> list[str]:
    """Return a name as it is, with its parts in natural order, and shortened, each as the tables have it."""
    # ISO 3166 sorts "Democratic Republic of Congo" as "Congo, Democratic Republic of".
    head, _, tail = text.partition(",")
    return [_plain(form) for form in (text, f"{tail} {head}", head)]


@cache
def _country_names() -> dict[str, str]:
    rows = (row.split(" ", 1) for row in _COUNTRIES.split("; "))
    return {_plain(name): code for code, names in rows for name in names.split(", ")}


@cache
def _english_names() -> dict[str, str]:
    rows = (row.split(" ", 1) for row in _COUNTRIES.split("; "))
    return {code: names.split(", ")[1] for code, names in rows}


@cache
def _continent_names() -> dict[str, str]:
    return {_plain(name): code for code, names in _CONTINENTS.items() for name in names}


def _plain(text: str) -> str:
    """Return a name without case, accents, articles and everything but letters."""
    words = unicodedata.normalize("NFKD", text[:200].casefold().replace("&", " and ")).split()
    letters = ("".join(char for char in word if char.isalpha()) for word in words)
    return "".join("saint" if word == "st" else word for word in letters if word not in {"the", "of"})

"""Names of the company's customers, and the lists that its staff file them under."""

from typing import Final

INDUSTRIES: Final = (
    "automotive",
    "building materials",
    "chemicals",
    "education",
    "electronics",
    "food processing",
    "healthcare",
    "logistics",
    "machinery",
    "packaging",
    "retail",
    "utilities",
)
REGIONS: Final = (
    "Austria",
    "Benelux",
    "Central Europe",
    "France",
    "Germany North",
    "Germany South",
    "Iberia",
    "Italy",
    "Japan",
    "Nordics",
    "North America",
    "United Kingdom",
)
OWNERS: Final = (
    "Alma Richter",
    "Bruno Keller",
    "Clara Novák",
    "Dario Conti",
    "Elif Aydın",
    "Frida Lindqvist",
    "Georges Meunier",
    "Hanna Wójcik",
    "Ivo Horvat",
    "Jana Brandt",
    "Kenji Mori",
    "Laura Pérez",
    "Mark O'Neill",
    "Nora Haugen",
)
PRODUCT_LINES: Final = (
    "bearings",
    "drives",
    "fasteners",
    "hydraulics",
    "lubricants",
    "sensors",
    "seals",
    "service contracts",
    "tooling",
    "valves",
)

_FOUNDERS: Final = (
    "Adler", "Albion", "Altona", "Arden", "Ashford", "Aurora", "Baltic", "Bellwood", "Bergmann",
    "Boreal", "Bramley", "Brandt", "Calder", "Castello", "Cedar", "Copperfield", "Corvus",
    "Crestline", "Delmare", "Dornier Hill", "Eastgate", "Eberhard", "Elmhurst", "Everest",
    "Falken", "Fenwick", "Ferrum", "Fontana", "Gallus", "Garrick", "Glenmore", "Granite",
    "Greyfriars", "Halden", "Harbour", "Hartmann", "Hawthorn", "Helvetia", "Ironbridge", "Jasper",
    "Kestrel", "Kingsway", "Lakeside", "Larkin", "Lindgren", "Lorenz", "Marlow", "Meridian",
    "Montclair", "Neptune", "Norden", "Northgate", "Oakridge", "Orion", "Palatin", "Pemberton",
    "Quantock", "Ravenna", "Redwood", "Rheintal", "Riverton", "Rossi", "Sable", "Silverline",
    "Solent", "Stellar", "Sterling", "Summit", "Tamar", "Tessin", "Thornbury", "Trident", "Ulmer",
    "Valmont", "Vega", "Vesper", "Wagner", "Westbrook", "Yarrow", "Zenith",
)  # fmt: skip
_FOUNDERS_ACCENTED: Final = (
    "Åkerlund", "Béton Sud", "Çelik", "Dvořák", "Großmann", "Hämäläinen", "Île-de-Ré", "José Núñez",
    "Łódź", "Müller & Söhne", "Øresund", "Šimek", "Žižka", "Αθηνά", "Днепр", "北斗", "東京",
)  # fmt: skip
_TRADES: Final = (
    "Abrasives", "Agri Systems", "Alloys", "Analytics", "Automation", "Bakeries", "Building Supply",
    "Cables", "Castings", "Ceramics", "Chemicals", "Cold Chain", "Components", "Controls",
    "Diagnostics", "Dairy", "Distribution", "Electric", "Energy", "Engineering", "Fabrication",
    "Fittings", "Foods", "Forge", "Freight", "Furniture", "Glassworks", "Graphics", "Heating",
    "Instruments", "Interiors", "Labs", "Lighting", "Logistics", "Machine Works", "Marine",
    "Medical", "Metals", "Mills", "Mobility", "Motors", "Optics", "Packaging", "Paper", "Partners",
    "Pharma", "Plastics", "Power", "Precision", "Process", "Pumps", "Rail", "Recycling", "Robotics",
    "Rubber", "Solar", "Steel", "Textiles", "Timber", "Tools", "Water",
)  # fmt: skip
_SUFFIXES: Final = {
    "Austria": ("GmbH", "AG"),
    "Benelux": ("B.V.", "N.V."),
    "Central Europe": ("s.r.o.", "Sp. z o.o."),
    "France": ("SAS", "SARL"),
    "Germany North": ("GmbH", "KG", "AG"),
    "Germany South": ("GmbH", "GmbH & Co. KG", "SE"),
    "Iberia": ("S.L.", "Lda."),
    "Italy": ("S.p.A.", "S.r.l."),
    "Japan": ("K.K.", "株式会社"),
    "Nordics": ("AB", "A/S", "Oy"),
    "North America": ("Inc.", "LLC", "Corp."),
    "United Kingdom": ("Ltd", "plc"),
}
_ACCENTED_EVERY: Final = 12
# Coprime to the number of pairs, so that accounts in a row meet every pair before one comes again.
_STRIDE: Final = 2_741


def company_name(index: int, offset: int, region: str) -> str:
    """Name an account; the first thousand differ, and each twelfth has letters beyond ASCII.

    >>> company_name(0, 7, "Nordics")
    'Bellwood Abrasives A/S'
    """
    place = (offset + index * _STRIDE) % (len(_FOUNDERS) * len(_TRADES))
    turn, founder = divmod(place, len(_FOUNDERS))
    suffixes = _SUFFIXES[region]
    suffix = suffixes[(index + offset) % len(suffixes)]
    if index % _ACCENTED_EVERY == _ACCENTED_EVERY - 1:
        name = _FOUNDERS_ACCENTED[index // _ACCENTED_EVERY % len(_FOUNDERS_ACCENTED)]
    else:
        name = _FOUNDERS[founder]
    return f"{name} {_TRADES[turn]} {suffix}"

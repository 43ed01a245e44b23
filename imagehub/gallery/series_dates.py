"""The dates of a series as visitors read them: 12 March – 4 June 2026."""

from imagehub.gallery import blueprint
from imagehub.models import Series
from imagehub.translator import get_translator
from imagehub.web.i18n import get_language


@blueprint.app_template_global("series_dates")
def describe_dates(series: Series) -> str:
    """Return the dates as they were typed, or else the days in the visitor's language."""
    days = get_translator(get_language()).format_days(series.first_day, series.last_day)
    return series.dates.strip() or days

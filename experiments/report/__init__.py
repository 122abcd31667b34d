"""The report of a run as JSON, Markdown, HTML and on the terminal."""

from experiments.report.build import build as build
from experiments.report.certificate import Terms as Terms
from experiments.report.certificate import certificate as certificate
from experiments.report.html import page as page
from experiments.report.tables import as_markdown as as_markdown
from experiments.report.tables import show as show

"""The least that a code location has, for a webserver to try what a prefix serves."""

from dagster import Definitions, asset, define_asset_job


@asset
def served() -> None:
    """Nothing."""


defs = Definitions(assets=[served], jobs=[define_asset_job("serve")])

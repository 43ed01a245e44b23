"""The database servers that tests run on."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.fixtures.database import use_server


def test_a_given_server_gets_new_databases_and_loses_them_at_the_end(mariadb_url: str) -> None:
    with use_server(mariadb_url) as server:
        first, second = server.create_database(), server.create_database()
        assert len({mariadb_url, first, second}) == 3
        engine = create_engine(first)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE row_of_a_test (id INTEGER PRIMARY KEY)"))
        engine.dispose()
    with pytest.raises(OperationalError, match="Unknown database"):
        create_engine(first).connect()

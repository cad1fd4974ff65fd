"""The Streamlit frame: what pages share. `python -m app STORE` opens it."""

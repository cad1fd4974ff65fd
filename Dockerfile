# The app over a store that is mounted at /store:
#   docker build -t feature-browser .
#   docker run --rm -p 127.0.0.1:8501:8501 -v "$PWD/store:/store" feature-browser
FROM python:3.11-slim

# Inside the container every interface is bound; which of them the world sees is up to `docker run`.
# Hosts other than localhost: -e STREAMLIT_SERVER_ALLOWED_HOSTS="localhost features.example.org"
ENV STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    HF_HUB_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    PYTHONUNBUFFERED=1

# The user owns the store and a home for caches; the code stays root's.
RUN useradd --uid 10001 --create-home browser \
    && install --directory --owner=browser /store

WORKDIR /srv/feature-browser
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY .streamlit .streamlit
COPY recipes recipes
COPY featurestore featurestore
COPY app app
COPY pages pages

USER 10001
EXPOSE 8501
VOLUME /store

# Streamlit answers unknown paths with 200 and a page, so the body decides. No proxy in between.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import sys, urllib.request as u; sys.exit(u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8501/_stcore/health', timeout=4).read() != b'ok')"]

CMD ["python", "-m", "app", "/store"]

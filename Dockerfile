# One image serves the web app and its workers. Models are converted at build time, so a container answers at once.
FROM python:3.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    SECATEUR_HOME=/data

RUN useradd --create-home --uid 10001 secateur \
    && install -d -o secateur -g secateur -m 0700 /data /opt/secateur

WORKDIR /opt/secateur
COPY requirements.txt ./
RUN pip install -r requirements.txt

USER 10001
COPY --chown=secateur:secateur . .
RUN python -m core prepare

VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true"]

# Orthanc of Debian with the Python plugin, for the plugin of dicom-dispatch.
ARG BASE_IMAGE=debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251
FROM ${BASE_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends orthanc orthanc-dicomweb orthanc-python ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* /etc/orthanc/*.json
COPY deploy/compose/orthanc.json /etc/orthanc/orthanc.json
COPY orthanc-plugin/dicom_dispatch.py /plugin/dicom_dispatch.py
RUN install -d -o 10002 -g 10002 /var/lib/orthanc/db
USER 10002:10002
VOLUME ["/var/lib/orthanc/db"]
EXPOSE 8042 4242
# Orthanc puts ${NAME} of the environment into its configuration; the secret is a file.
CMD ["/bin/sh", "-c", "ORTHANC_PASSWORD=$(cat /run/secrets/orthanc-password) exec Orthanc /etc/orthanc/orthanc.json"]

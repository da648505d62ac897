/**
 * What the example configuration says where an option has no default. Paths are those of the schema, `*` for a name that
 * the user chooses; targets are named by their type.
 */
export const exampleValues: Readonly<Record<string, string>> = {
  'sources.*.url': 'http://127.0.0.1:8042',
  'sources.*.username': 'dispatch',
  'sources.*.password': '${ORTHANC_PASSWORD}',
  'sources.*.startFrom': 'now',
  'groups.*.targets': '[my-dicom, my-orthanc]',
  'groups.*.strategy': 'first-available',
  'transforms.*.set': '{ InstitutionName: Example Hospital }',
  'cache.secret': '${CACHE_SECRET}',
  'pseudonyms.secret': '${PSEUDONYM_SECRET}',
  'targets.dicom.host': 'pacs.hospital.example',
  'targets.dicom.calledAeTitle': 'PACS',
  'targets.dicomweb.url': 'https://pacs.hospital.example/dicom-web',
  'targets.folder.path': '/srv/archive',
  'targets.orthanc.url': 'http://other-orthanc:8042',
  'targets.rsync.host': 'files.hospital.example',
  'targets.rsync.path': '/srv/incoming',
  'targets.rsync.via':
    '{ type: ssh, username: dispatch, privateKey: "${SFTP_KEY}", hostKey: { knownHosts: /etc/dicom-dispatch/known_hosts } }',
  'targets.s3.bucket': 'images',
  'targets.s3.region': 'eu-central-1',
  'targets.sftp.host': 'files.hospital.example',
  'targets.sftp.username': 'dispatch',
  'targets.sftp.privateKey': '${SFTP_KEY}',
  'targets.sftp.hostKey': '{ knownHosts: /etc/dicom-dispatch/known_hosts }',
  'targets.sftp.path': '/incoming',
  'targets.xnat.url': 'https://xnat.hospital.example',
  'targets.xnat.username': 'dispatch',
  'targets.xnat.password': '${XNAT_PASSWORD}',
  'targets.xnat.project': 'research',
  'rules.*.name': 'ct-to-archive',
  'rules.*.when': `'"CT" in study.ModalitiesInStudy'`,
  'rules.*.targets': '[my-dicom, my-folder]',
};

/**
 * Values of the example configuration for options without a default. Paths are those of the schema, `*` for a name that
 * the user chooses. Those of targets come from the types themselves (`targetExamples`).
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
  'records.searchKey': '${SEARCH_KEY}',
  'pseudonyms.secret': '${PSEUDONYM_SECRET}',
  'rules.*.name': 'ct-to-archive',
  'rules.*.when': `'"CT" in study.ModalitiesInStudy'`,
  'rules.*.targets': '[my-dicom, my-folder]',
  'rules.*.priors.when': 'prior.ModalitiesInStudy.exists(m, m in study.ModalitiesInStudy)',
  'rules.*.priors.maxAge': '5y',
};

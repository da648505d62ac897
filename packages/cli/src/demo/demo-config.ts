import { stringify } from 'yaml';

export interface DemoPlaces {
  readonly folder: string;
  readonly sourceUrl: string;
  readonly pacs: { readonly port: number; readonly aeTitle: string };
  readonly archiveFolder: string;
  readonly listen: string;
}

/** The configuration of the demo, as a file for further use. */
export function demoConfig(places: DemoPlaces): string {
  const config = {
    sources: { hospital: { url: places.sourceUrl, pollInterval: '250ms', startFrom: 'everything' } },
    targets: {
      pacs: {
        type: 'dicom',
        description: 'a second Orthanc, in the place of a PACS',
        host: '127.0.0.1',
        port: places.pacs.port,
        calledAeTitle: places.pacs.aeTitle,
        callingAeTitle: 'DISPATCH',
      },
      archive: {
        type: 'folder',
        description: 'a folder on this machine',
        path: places.archiveFolder,
        layout:
          '{Modality}/{StudyDate}-{StudyInstanceUID#8}/{SeriesNumber}-{SeriesDescription}-{SeriesInstanceUID#8}/{SOPInstanceUID}.dcm',
      },
    },
    rules: [
      { name: 'everything-to-pacs', targets: ['pacs'] },
      {
        name: 'cross-sections-to-archive',
        when: 'series.exists(s, s.Modality in ["CT", "MR"])',
        targets: ['archive'],
        priority: 'background',
      },
    ],
    redis: { dataFolder: `${places.folder}/data` },
    console: { listen: places.listen },
  };
  return `# Made by "dispatch demo". Run it again with: dispatch up --config THIS_FILE (while both Orthancs run)\n${stringify(config)}`;
}

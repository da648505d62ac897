import type { Puller } from '@dicom-dispatch/target-kit';
import type { AnyDicomTarget } from '../schema.ts';
import { findStudies } from './find-studies.ts';
import { retrieveStudy } from './retrieve-study.ts';

/** Find by C-FIND, retrieve by C-GET or C-MOVE. */
export const dicomPuller: Puller<AnyDicomTarget> = { find: findStudies, retrieve: retrieveStudy };

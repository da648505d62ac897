/**
 * A whole service of the chaos of applies, which its parent kills: what `dispatch router` runs, but for how long it waits for the
 * end of a change that is not announced.
 *
 *   node service-process.ts router|dispatcher|console FILE
 */
import { runServices, type ServiceName } from '@dicom-dispatch/cli';

const [, , name = '', file = ''] = process.argv;
await runServices(file, [name as ServiceName], { givenUpMs: 500 });

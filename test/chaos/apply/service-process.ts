/**
 * A complete service of the chaos of applies, which its parent kills: like `dispatch router`, except for how long it waits
 * for the end of an unannounced change.
 *
 *   node service-process.ts router|dispatcher|console FILE
 */
import { runServices, type ServiceName } from '@dicom-dispatch/cli';

const [, , name = '', file = ''] = process.argv;
await runServices(file, [name as ServiceName], { givenUpMs: 500 });

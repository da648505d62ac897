import { z } from 'zod';
import { listenAddress } from './listen-address.ts';
import { configName } from './names.ts';
import { secret } from './secret.ts';

export const consoleConfig = z.strictObject({
  listen: listenAddress.default('127.0.0.1:8080').describe('address of the console; off loopback it needs users'),
  users: z
    .record(configName, z.strictObject({ password: secret.describe('password of the user') }))
    .optional()
    .describe('who may sign in; without users only loopback is served'),
});

import { setTimeout as sleep } from 'node:timers/promises';
import { withSystem, type System } from './with-system.ts';

export interface ShowOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly watch?: boolean;
}

const watchMs = 2_000;

/** Prints data once, as JSON or as text, or repeatedly until Ctrl-C. */
export async function show<T>(
  options: ShowOptions,
  read: (system: System) => Promise<T>,
  format: (value: T) => string,
): Promise<void> {
  await withSystem(options.config, async (system) => {
    for (;;) {
      const value = await read(system);
      const text =
        options.json === true ? JSON.stringify(value, undefined, options.watch === true ? 0 : 2) : format(value);
      if (options.watch === true && options.json !== true && process.stdout.isTTY)
        process.stdout.write('\u001B[2J\u001B[H');
      console.log(text);
      if (options.watch !== true) return;
      await sleep(watchMs);
    }
  });
}

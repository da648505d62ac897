import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isReadOnly } from './is-read-only.ts';

/**
 * Secrets entered in the console: the configuration contains `{ sealed: TEXT }`, encrypted by AES-256-GCM with the
 * installation key. The key is in a separate file, beside the configuration file or at `DICOM_DISPATCH_KEY_FILE`; never
 * in Redis, and never in a version of the configuration.
 */
export class SealKey {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Encrypts a secret; the key is created on first use. @throws Error with a text for users */
  async seal(secret: string): Promise<string> {
    const key = (await this.#read()) ?? (await this.#make());
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(Buffer.from(context));
    const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return `v1.${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')}`;
  }

  /** @throws Error with a text for users, if the key is missing or another one */
  async unseal(sealed: string): Promise<string> {
    const key = await this.#read();
    if (!key) throw new Error(`the key of sealed secrets is missing: restore ${this.path}, or enter the secret again`);
    const bytes = Buffer.from(/^v1\.([\w-]+)$/.exec(sealed)?.[1] ?? '', 'base64url');
    try {
      if (bytes.length < 28) throw new Error('too short');
      const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
      cipher.setAAD(Buffer.from(context));
      cipher.setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([cipher.update(bytes.subarray(28)), cipher.final()]).toString('utf8');
    } catch (error) {
      throw new Error(`it was sealed with another key than ${this.path}: enter the secret again`, { cause: error });
    }
  }

  /**
   * Signs a text (HMAC-SHA256) with the installation key, which is created if needed. @throws Error with a text for users
   */
  async sign(text: string): Promise<string> {
    return signature((await this.#read()) ?? (await this.#make()), text);
  }

  /** Whether a text was signed with this key. @throws Error with a text for users, if the key is missing */
  async isSigned(text: string, signed: string): Promise<boolean> {
    const key = await this.#read();
    if (!key) {
      throw new Error(
        `the key of the installation is missing: copy ${this.path} from a host that has it, or name it with DICOM_DISPATCH_KEY_FILE`,
      );
    }
    const [one, other] = [Buffer.from(signature(key, text)), Buffer.from(signed)];
    return one.length === other.length && timingSafeEqual(one, other);
  }

  async #read(): Promise<Buffer | undefined> {
    try {
      const key = Buffer.from((await readFile(this.path, 'utf8')).trim(), 'base64');
      if (key.length !== 32) throw new Error(`${this.path} is not a 32-byte key in Base64`);
      return key;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      if (code === undefined) throw error;
      const remedy = code === 'EACCES' ? `: ${await keyAccessRemedy(this.path)}` : '';
      throw new Error(`the key ${this.path} cannot be read (${code})${remedy}`, { cause: error });
    }
  }

  async #make(): Promise<Buffer> {
    const key = randomBytes(32);
    try {
      const file = await open(this.path, 'wx', 0o600);
      try {
        await file.writeFile(`${key.toString('base64')}\n`);
        if (process.getuid?.() === 0) await this.#shareWithServices(file);
        await file.sync();
      } finally {
        await file.close();
      }
      return key;
    } catch (error) {
      const made = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await this.#read() : undefined;
      if (made) return made;
      const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw new Error(`the key ${this.path} cannot be created (${why})`, { cause: error });
    }
  }

  /** A key created by root gets owner and group of the configuration file beside it, otherwise of its folder. */
  async #shareWithServices(file: FileHandle): Promise<void> {
    try {
      const folder = dirname(this.path);
      const config = this.path.endsWith('.key') ? this.path.slice(0, -'.key'.length) : folder;
      const { uid, gid, mode } = await stat(config).catch(() => stat(folder));
      await file.chown(uid, gid);
      await file.chmod(0o600 | (mode & 0o040));
    } catch {
      // Not every file system supports this. An error about an unreadable key contains the remedy.
    }
  }
}

const context = 'dicom-dispatch secret v1';

function signature(key: Buffer, text: string): string {
  const own = Buffer.from(hkdfSync('sha256', key, '', 'dicom-dispatch configuration v1', 32));
  return createHmac('sha256', own).update(text).digest('base64url');
}

/** How only the services get access to the key: on a read-only mount its mode cannot be changed. */
export async function keyAccessRemedy(path: string): Promise<string> {
  // For a file that the user may not write, a read-only bind mount reports EACCES, not EROFS. The folder of a Secret is
  // writable for all, so its mount reports EROFS.
  if ((await isReadOnly(path)) || (await isReadOnly(dirname(path)))) {
    return 'it is on a read-only mount: mount it readable only by the services (Kubernetes: defaultMode: 0440 of the Secret volume, and fsGroup of the pod)';
  }
  return `let only the group of the services read it: chgrp GROUP ${path}; chmod 640 ${path}`;
}

/** Location of the key of a configuration file. */
export function sealKeyPath(configFile: string, env: Readonly<Record<string, string | undefined>>): string {
  return env['DICOM_DISPATCH_KEY_FILE'] || `${configFile}.key`;
}

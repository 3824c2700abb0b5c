/**
 * Which blobs an account keeps, and until when. A blob is listed before its content is written and until its content is gone,
 * so that whatever is interrupted is swept when its time is over.
 */
import { BLOB_LEAST_BYTES } from '#core/blob.ts'
import { DomainError } from '#core/errors.ts'
import type { BlobView } from '#core/protocol/blob.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { used } from '../usage.ts'

/** R2 drops so many at a time. */
const SWEPT_AT_ONCE = 1000

export type AccountBlobs = ReturnType<typeof openAccountBlobs>

export function openAccountBlobs({ sql }: DurableObjectStorage) {
  sql.exec(`create table if not exists blobs(
    sha256 text primary key, bytes integer not null, content_type text not null,
    stored integer not null, kept_until integer not null) without rowid`)
  const write = (statement: string, ...values: (string | number)[]): number => {
    const { rowsWritten } = sql.exec(statement, ...values)
    used.account.rowsWritten += rowsWritten
    return rowsWritten
  }

  return {
    /** Makes room for content that is about to come. @throws DomainError blob_quota_exceeded */
    reserve({ sha256, bytes, contentType, keptUntil }: BlobView): void {
      const { kept } = sql
        .exec<{ kept: number }>(
          'select coalesce(sum(max(bytes, ?)), 0) as kept from blobs where sha256 <> ?',
          BLOB_LEAST_BYTES,
          sha256,
        )
        .one()
      if (kept + Math.max(bytes, BLOB_LEAST_BYTES) > LIMITS.accountBlobBytes) {
        throw new DomainError('blob_quota_exceeded', {
          detail: `${kept} of ${LIMITS.accountBlobBytes} bytes are in use; a blob counts at least ${BLOB_LEAST_BYTES}`,
        })
      }
      write(
        `insert into blobs values(?, ?, ?, 0, ?)
         on conflict do update set kept_until = max(kept_until, excluded.kept_until)`,
        sha256,
        bytes,
        contentType,
        keptUntil,
      )
    },

    /** The content is there. */
    stored({ sha256, bytes, contentType, keptUntil }: BlobView): void {
      write(
        `insert into blobs values(?, ?, ?, 1, ?) on conflict do update set
         stored = 1, content_type = excluded.content_type, kept_until = max(kept_until, excluded.kept_until)`,
        sha256,
        bytes,
        contentType,
        keptUntil,
      )
    },

    /** The content did not come. */
    missed(sha256: string): void {
      write('delete from blobs where sha256 = ? and stored = 0', sha256)
    },

    find(sha256: string, now: number): BlobView | null {
      const [blob] = sql.exec<BlobView>(
        `select sha256, bytes, content_type as contentType, kept_until as keptUntil
         from blobs where sha256 = ? and stored = 1 and kept_until > ?`,
        sha256,
        now,
      )
      return blob ?? null
    },

    /** Keeps a blob at least until then. */
    keep(sha256: string, until: number): void {
      write('update blobs set kept_until = ? where sha256 = ? and kept_until < ?', until, sha256, until)
    },

    /** Its time is over now. @returns false when there is none */
    drop(sha256: string, now: number): boolean {
      return (
        write('update blobs set kept_until = ? where sha256 = ? and stored = 1 and kept_until > ?', now, sha256, now) >
        0
      )
    },

    /** When the first is to be swept, or null. */
    nextDue(): number | null {
      return sql.exec<{ due: number | null }>('select min(kept_until) as due from blobs').one().due
    },

    /** Those whose time is over. */
    due(now: number): string[] {
      const rows = sql.exec<{ sha256: string }>(
        'select sha256 from blobs where kept_until <= ? limit ?',
        now,
        SWEPT_AT_ONCE,
      )
      return [...rows].map(({ sha256 }) => sha256)
    },

    swept(hashes: string[]): void {
      for (const sha256 of hashes) write('delete from blobs where sha256 = ?', sha256)
    },
  }
}

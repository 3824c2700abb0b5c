/**
 * Which cell each idempotency key of an account went to, for as long as the key counts: the same submission must not be taken by two.
 * While a submission under it is on its way, and once a cell has taken it, a key stays where it is; when the last has been refused, it is free.
 */
import { KEY_MS } from '#core/idempotency.ts'
import { used } from '../usage.ts'

export type AccountPlaces = ReturnType<typeof openAccountPlaces>

export function openAccountPlaces({ sql }: DurableObjectStorage) {
  sql.exec(`create table if not exists places(
    key text primary key, cell text not null, under_way integer not null, at integer not null) without rowid`)
  const write = (statement: string, ...values: (string | number)[]): void => {
    used.account.rowsWritten += sql.exec(statement, ...values).rowsWritten
  }

  return {
    /** A submission under this key sets out for a cell. @returns the one that it is to go to */
    enter(key: string, cell: string, now: number): string {
      write('delete from places where at <= ?', now - KEY_MS)
      write('insert into places values(?, ?, 1, ?) on conflict do update set under_way = under_way + 1', key, cell, now)
      return sql.exec<{ cell: string }>('select cell from places where key = ?', key).one().cell
    },

    /** One of them was refused, and so has taken nothing. */
    leave(key: string): void {
      write('update places set under_way = under_way - 1 where key = ?', key)
      write('delete from places where key = ? and under_way <= 0', key)
    },
  }
}

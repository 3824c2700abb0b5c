/**
 * An account's webhook endpoints and what is delivered to them. A delivery is a row, its message is made from the task as it
 * stands: an event that is told twice is one delivery, and one that was sent may be sent again.
 */
import { DomainError } from '#core/errors.ts'
import { LIMITS } from '#core/protocol/values.ts'
import type { DeliveryView, WebhookEvent, WebhookView } from '#core/protocol/webhook.ts'
import { parseTaskId } from '#core/task-id.ts'
import { DELIVERY_LOG_MS, messageId, retryAfterMs, webhookBody } from '#core/webhook.ts'
import { checkWebhookUrl } from '#core/webhook-url.ts'
import type { Network } from '../env.ts'
import { type Outbox, signal } from '../outbox.ts'
import { used } from '../usage.ts'
import { sendWebhook } from '../webhook.ts'

/** Messages that one endpoint is sent at once. */
const AT_ONCE = 8
const PAGE = 100
const GONE = 410

type Endpoint = { id: string; url: string; secret: string; createdAt: number; disabledAt: number | null }
type Delivery = { task: string; attempts: number }
type Attempted = 'taken' | 'failed' | 'gone'
type Row = {
  task: string
  event: WebhookEvent
  createdAt: number
  attempts: number
  due: number | null
  status: number | null
  failure: string | null
}
/** What a market tells: this endpoint is to hear of this task's end. */
export type Notice = { webhook: string; task: string; event: WebhookEvent }

export type AccountWebhooks = ReturnType<typeof openAccountWebhooks>

export function openAccountWebhooks({ sql }: DurableObjectStorage, network: Network, outbox: Outbox) {
  sql.exec(`create table if not exists webhooks(
    id text primary key, url text not null, secret text not null, created_at integer not null,
    disabled_at integer) without rowid`)
  // `due` is null when nothing more is tried; `status` and `failure` are of the last attempt.
  sql.exec(`create table if not exists deliveries(
    webhook text not null, task text not null, event text not null, created_at integer not null,
    attempts integer not null default 0, due integer, status integer, failure text,
    primary key(webhook, task)) without rowid`)
  sql.exec('create index if not exists due_deliveries on deliveries(webhook, due) where due is not null')
  const write = (statement: string, ...values: (string | number | null)[]): number => {
    const { rowsWritten } = sql.exec(statement, ...values)
    used.account.rowsWritten += rowsWritten
    return rowsWritten
  }
  const pending = sql.exec<{ webhook: string; due: number }>(
    'select webhook, min(due) as due from deliveries where due is not null group by webhook',
  )
  for (const { webhook, due } of pending) signal(outbox, webhook, due)

  const endpoints = (): Endpoint[] => [
    ...sql.exec<Endpoint>(
      `select id, url, secret, created_at as createdAt, disabled_at as disabledAt
       from webhooks order by created_at, id`,
    ),
  ]

  async function attempt({ id, url, secret }: Endpoint, { task, attempts }: Delivery): Promise<Attempted> {
    const end = (due: number | null, status: number | null, failure: string | null) =>
      void write(
        'update deliveries set attempts = ?, due = ?, status = ?, failure = ? where webhook = ? and task = ?',
        attempts + 1,
        due,
        status,
        failure,
        id,
        task,
      )
    const view = await network.market(parseTaskId(task)!.cell).watch(task)
    if (!view) {
      end(null, null, 'the task is kept no more')
      return 'taken'
    }
    const checked = checkWebhookUrl(url, network.isDevelopment)
    const { status, failure } =
      'fault' in checked
        ? { status: null, failure: checked.fault }
        : await sendWebhook({ url, secret }, { id: messageId(task), body: webhookBody(view) }, Date.now())
    if (isSuccess(status)) {
      end(null, status, null)
      return 'taken'
    }
    const wait = retryAfterMs(attempts + 1, Math.random())
    end(wait === null ? null : Date.now() + wait, status, failure)
    return status === GONE ? 'gone' : 'failed'
  }

  function disable(id: string): void {
    write('update webhooks set disabled_at = ? where id = ? and disabled_at is null', Date.now(), id)
    write('update deliveries set due = null where webhook = ? and due is not null', id)
  }

  return {
    /** @throws DomainError webhook_limit */
    add(id: string, url: string, secret: string): WebhookView {
      if (endpoints().length >= LIMITS.webhooks) {
        throw new DomainError('webhook_limit', { detail: `an account has at most ${LIMITS.webhooks}` })
      }
      const createdAt = Date.now()
      write('insert into webhooks values(?, ?, ?, ?, null)', id, url, secret, createdAt)
      return { id, url, createdAt }
    },

    list: (): WebhookView[] =>
      endpoints().map(({ id, url, createdAt, disabledAt }) => ({
        id,
        url,
        createdAt,
        ...(disabledAt !== null && { disabledAt }),
      })),

    /** @returns false when there is none */
    remove(id: string): boolean {
      write('delete from deliveries where webhook = ?', id)
      return write('delete from webhooks where id = ?', id) > 0
    },

    /** @param before a task id, for the deliveries that come after it in the list */
    deliveries(webhook: string, before: string | undefined): DeliveryView[] {
      const rows = sql.exec<Row>(
        `select task, event, created_at as createdAt, attempts, due, status, failure from deliveries
         where webhook = ? and task < ? order by task desc limit ${PAGE}`,
        webhook,
        before ?? '~',
      )
      return [...rows].map(deliveryView)
    },

    /** From a market. Told again, it changes nothing. */
    notify(notices: Notice[]): void {
      const enabled = new Set(endpoints().flatMap(({ id, disabledAt }) => (disabledAt === null ? [id] : [])))
      const now = Date.now()
      for (const { webhook, task, event } of notices) {
        if (!enabled.has(webhook)) continue
        write(
          'insert into deliveries(webhook, task, event, created_at, due) values(?, ?, ?, ?, ?) on conflict do nothing',
          webhook,
          task,
          event,
          now,
          now,
        )
        signal(outbox, webhook, now)
      }
    },

    /** Sends an endpoint what is due. Throws when it took none of it, so that the outbox lets it rest. */
    async deliver(id: string): Promise<void> {
      const endpoint = endpoints().find((one) => one.id === id)
      if (!endpoint || endpoint.disabledAt !== null) return
      const due = sql.exec<Delivery>(
        `select task, attempts from deliveries where webhook = ? and due <= ? order by due limit ${AT_ONCE}`,
        id,
        Date.now(),
      )
      const attempted = await Promise.all([...due].map((delivery) => attempt(endpoint, delivery)))
      if (attempted.includes('gone')) return disable(id)
      if (attempted.length > 1 && !attempted.includes('taken')) throw new Error('it took none of its messages')
      const { next } = sql
        .exec<{ next: number | null }>('select min(due) as next from deliveries where webhook = ?', id)
        .one()
      if (next !== null) signal(outbox, id, next)
    },

    /** Drops what has been in the log for long enough. */
    dropOld(now: number): void {
      write('delete from deliveries where due is null and created_at < ?', now - DELIVERY_LOG_MS)
    },
  }
}

const isSuccess = (status: number | null): boolean => status !== null && status >= 200 && status < 300

function deliveryView({ task, event, createdAt, attempts, due, status, failure }: Row): DeliveryView {
  return {
    id: messageId(task),
    event,
    task,
    state: due !== null ? 'pending' : isSuccess(status) ? 'delivered' : 'failed',
    createdAt,
    attempts,
    ...(due !== null && { nextAttemptAt: due }),
    ...(status !== null && { status }),
    ...(failure !== null && { failure }),
  }
}

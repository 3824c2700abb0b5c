/**
 * Takes away each guard of the contracts in turn, in a copy of the sources, and runs the tests of that source: every time
 * some test must fail. What survives is a guard that nothing holds in place. All of them take some 25 minutes of a processor's
 * time, ninety at most; what was not tried by then is told.
 *
 *   npm run test:mutants [-- --only TEXT] [--sample N [--seed TEXT]] [--minutes N]     exits 1 if one survives
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { inRoot } from './paths.ts'

/**
 * One change: in `file`, `from` (which must be there once) becomes `to`. With `survives`, the reason why no test can tell the
 * difference, none may.
 */
type Mutant = { file: string; from: string; to: string; survives?: string }

const SETTLEMENT = 'DaicnSettlement.sol'
const LEDGER = 'libraries/Ledger.sol'
const REGISTRY = 'ProviderRegistry.sol'
const COURT = 'DisputeCourt.sol'
const COMMITTEES = 'libraries/Committees.sol'
const LOG = 'ReceiptLog.sol'
const TOKEN = 'DaicnToken.sol'
const gone = (file: string, from: string): Mutant => ({ file, from, to: '' })
const equivalent = (file: string, from: string, survives: string): Mutant => ({ file, from, to: '', survives })
const becomes = (file: string, from: string, to: string): Mutant => ({ file, from, to })

const MUTANTS: Mutant[] = [
  // Who may.
  gone(SETTLEMENT, 'if (received != amount) revert DaicnSettlement_InexactDeposit(received, amount);'),
  gone(SETTLEMENT, 'if (block.timestamp > deadline) revert DaicnSettlement_Expired(deadline);'),
  gone(SETTLEMENT, 'if (amount == 0) revert DaicnSettlement_NothingEarned(receiver);'),
  gone(SETTLEMENT, 'revert DaicnSettlement_BadSignature(receiver);'),
  becomes(SETTLEMENT, 'if (!signer.isValid(_hashTypedDataV4(message), signature))', 'if (false)'),
  becomes(SETTLEMENT, 'if (msg.sender != receiver && msg.sender != operatorOf[receiver])', 'if (false)'),
  becomes(SETTLEMENT, 'charged > ceiling ||', ''),
  becomes(SETTLEMENT, '|| !_ledger.accounts[account].signer.isValid(digest, signature)', ''),
  becomes(SETTLEMENT, 'return fee < MAX_FEE_BASIS_POINTS ? fee : MAX_FEE_BASIS_POINTS;', 'return fee;'),
  becomes(SETTLEMENT, 'TOKEN.safeTransfer(receiver, amount);', 'TOKEN.safeTransfer(msg.sender, amount);'),
  becomes(
    SETTLEMENT,
    'authorizationNonce(payer, signer, authorization.salt)',
    'keccak256(abi.encode(authorization.salt))',
  ),
  becomes(SETTLEMENT, 'UNLOCK_DELAY = 36 hours', 'UNLOCK_DELAY = 35 hours'),
  becomes('libraries/Signatures.sol', 'recovered != address(0) && ', ''),
  becomes('libraries/Signatures.sol', 'staticcall(CONTRACT_GAS,', 'staticcall(gas(),'),
  gone('libraries/Signatures.sol', 'answered := and(answered, gt(returndatasize(), 31))'),
  equivalent(
    'libraries/Vouchers.sol',
    'if (start > packed.length) revert Vouchers_Truncated(offset);',
    'the next voucher begins no earlier than the signature, so the guard below it reverts with the same error',
  ),
  gone('libraries/Vouchers.sol', 'if (next > packed.length) revert Vouchers_Truncated(offset);'),
  // The books.
  gone(LEDGER, 'if (signer == address(0)) revert Ledger_NoSigner();'),
  becomes(
    LEDGER,
    'if (amount > free) revert Ledger_Insufficient(id, free, amount);',
    'if (amount > free) amount = free;',
  ),
  gone(LEDGER, 'if (epoch != lane.epoch) revert Ledger_StaleEpoch(epoch, lane.epoch);'),
  gone(LEDGER, 'if (epoch == type(uint16).max) revert Ledger_LastEpoch();'),
  becomes(LEDGER, 'if (lane.unlockAt != 0) revert Ledger_Unlocking(lane.unlockAt); uint256 covered', 'uint256 covered'),
  becomes(LEDGER, 'if (lane.unlockAt != 0) revert Ledger_Unlocking(lane.unlockAt); lane.unlockAt =', 'lane.unlockAt ='),
  becomes(LEDGER, 'if (epoch != current) revert Ledger_StaleEpoch(epoch, current);', 'current;'),
  becomes(LEDGER, 'uint256 covered = _max(lane.cap, lane.paid);', 'uint256 covered = lane.cap;'),
  gone(LEDGER, 'if (cap <= covered) return 0;'),
  gone(LEDGER, 'debit(self, id, added);'),
  gone(LEDGER, 'if (charged <= paid) return (0, paid);'),
  becomes(LEDGER, 'uint256 covered = _max(cap, paid);', 'uint256 covered = paid;'),
  becomes(LEDGER, '_min(charged - covered, self.accounts[id].free)', '(charged - covered)'),
  gone(LEDGER, 'debit(self, id, fromFree);'),
  gone(LEDGER, 'earnings.settled = earnings.claimed;'),
  gone(LEDGER, 'if (self.accounts[id].signer == address(0)) revert Ledger_NoAccount(id);'),
  gone(LEDGER, 'if (unlockAt == 0) revert Ledger_NotUnlocking();'),
  gone(LEDGER, 'if (block.timestamp < unlockAt) revert Ledger_TooEarly(unlockAt);'),
  becomes(LEDGER, '(paid, lane.epoch + 1, 0)', '(paid, lane.epoch, 0)'),
  becomes(LEDGER, '(paid, lane.epoch + 1, 0)', '(cap, lane.epoch + 1, 0)'),
  // Stake.
  becomes(REGISTRY, 'if (msg.sender != COURT)', 'if (false)'),
  gone(REGISTRY, 'if (operator == address(0)) revert ProviderRegistry_BadOperator(operator);'),
  gone(REGISTRY, 'if (known.operator == address(0)) revert ProviderRegistry_NotRegistered(provider);'),
  gone(REGISTRY, 'if (amount > bonded) revert ProviderRegistry_Insufficient(bonded, amount);'),
  becomes(REGISTRY, 'leaver.unbonding == 0 || block.timestamp < leaver.unbondsAt', 'leaver.unbonding == 0'),
  gone(REGISTRY, 'if (leaver.holds > 0) revert ProviderRegistry_Held(leaver.holds);'),
  becomes(REGISTRY, 'taken = amount < slashed.stake ? amount : slashed.stake;', 'taken = amount;'),
  gone(REGISTRY, 'if (slashed.unbonding > slashed.stake) slashed.unbonding = slashed.stake;'),
  becomes(REGISTRY, 'operator == address(0) || _tenures[msg.sender][operator].from != 0', 'false'),
  gone(REGISTRY, 'if (operator == known.operator && at >= known.rotatesAt) return false;'),
  gone(REGISTRY, '_transferVotingUnits(address(0), provider, amount);'),
  gone(REGISTRY, '_transferVotingUnits(provider, address(0), amount);'),
  // The court.
  gone(COURT, 'if (!sameAttempt || !contradict) revert DisputeCourt_NoFault();'),
  becomes(COURT, 'lane.paid <= due || !stated ||', 'lane.paid <= due ||'),
  becomes(COURT, ' || SETTLEMENT.accountOf(payer, signer) != statement.account', ''),
  gone(COURT, 'overclaimedTo[statement.account][statement.provider] = lane.paid;'),
  gone(COURT, 'if (isJudged[fault]) revert DisputeCourt_Judged(fault);'),
  becomes(COURT, '!timely || ', ''),
  becomes(COURT, ' || !REGISTRY.isOperatorAt(provider, operator, at)', ''),
  gone(COURT, 'if (block.timestamp > until) revert DisputeCourt_TooLate(until);'),
  gone(COURT, 'if (block.number <= dispute.drawBlock) revert DisputeCourt_TooEarly(dispute.drawBlock + 1);'),
  gone(COURT, 'revert DisputeCourt_TooEarly(dispute.revealUntil);'),
  gone(COURT, 'if (dispute.stage != stage) revert DisputeCourt_WrongStage(dispute.stage);'),
  gone(COURT, 'if (amount == 0) revert DisputeCourt_NothingAwarded(msg.sender);'),
  gone(COURT, 'if (block.timestamp >= dispute.commitUntil) revert DisputeCourt_TooLate(dispute.commitUntil);'),
  gone(COURT, 'if (block.timestamp < dispute.commitUntil) revert DisputeCourt_TooEarly(dispute.commitUntil);'),
  gone(COURT, 'if (block.timestamp >= dispute.revealUntil) revert DisputeCourt_TooLate(dispute.revealUntil);'),
  becomes(COURT, 'if (msg.sender != verifier && !REGISTRY', 'if (false && !REGISTRY'),
  gone(COURT, 'awards[msg.sender] = 0;'),
  gone(COURT, 'REGISTRY.hold(receipt.provider);\n'),
  gone(COURT, 'if (taken == 0) revert DisputeCourt_NothingAtStake(provider);'),
  gone(COMMITTEES, 'if (!self.isDrawn[verifier]) revert Committees_NotDrawn(verifier);'),
  gone(COMMITTEES, 'if (self.commitments[verifier] != 0) revert Committees_Again(verifier);'),
  gone(COMMITTEES, 'if (self.commitments[verifier] != commitment) revert Committees_BadReveal(verifier);'),
  gone(COMMITTEES, 'if (self.verdicts[verifier] != Verdict.None) revert Committees_Again(verifier);'),
  becomes(COMMITTEES, 'party || self.isDrawn[candidate]', 'self.isDrawn[candidate]'),
  becomes(COMMITTEES, 'party || self.isDrawn[candidate]', 'party'),
  // Receipts, parameters, governance.
  becomes(LOG, 'own.amount < needed || own.unbondsAt != 0', 'own.unbondsAt != 0'),
  becomes(LOG, 'own.amount < needed || own.unbondsAt != 0', 'own.amount < needed'),
  gone(LOG, 'if (hour >= block.timestamp / 1 hours) revert ReceiptLog_HourNotOver(hour);'),
  becomes(LOG, 'posted != 0 || root == 0', 'root == 0'),
  becomes(LOG, 'posted == 0 || posted == root || ', 'posted == 0 || '),
  becomes(LOG, ' || !poster.isValid(digest, signature)', ''),
  gone(LOG, 'if (amount == 0) revert ReceiptLog_NotBonded(0, 1);'),
  becomes(LOG, 'own.unbondsAt == 0 || block.timestamp < own.unbondsAt', 'own.unbondsAt == 0'),
  gone('Parameters.sol', 'if (msg.sender != GOVERNANCE) revert Parameters_NotGovernance(msg.sender);'),
  gone('Parameters.sol', 'if (value < low || value > high) revert Parameters_OutOfBounds(name, value, low, high);'),
  gone(
    'DaicnTimelock.sol',
    'if (delay < LEAST_DELAY || delay > LONGEST_DELAY) revert DaicnTimelock_OutOfBounds(delay);',
  ),
  gone('DaicnGovernor.sol', 'if (value < low || value > high) revert DaicnGovernor_OutOfBounds(value, low, high);'),
  becomes('DaicnGovernor.sol', ' + REGISTRY.getPastVotes(account, timepoint)', ''),
  // The token.
  gone(TOKEN, 'require(to == _msgSender(), ERC20InvalidReceiver(to));'),
  becomes(TOKEN, 'SignatureChecker.isValidSignatureNowCalldata(from, _hashTypedDataV4(message), signature)', 'true'),
]

/** The tests that hold a source in place, the quick ones first; later ones only see what the earlier let pass. */
const TESTS: Record<string, string[]> = {
  [SETTLEMENT]: ['settlement', 'invariant'],
  [LEDGER]: ['settlement', 'invariant'],
  'libraries/Signatures.sol': ['settlement', 'invariant'],
  'libraries/Vouchers.sol': ['settlement', 'invariant'],
  [REGISTRY]: ['registry', 'court', 'governance', 'invariant'],
  [COURT]: ['court'],
  [COMMITTEES]: ['court'],
  [LOG]: ['receipts'],
  'Parameters.sol': ['governance'],
  'DaicnTimelock.sol': ['governance'],
  'DaicnGovernor.sol': ['governance'],
  [TOKEN]: ['token'],
}

const { only, sample, seed, minutes } = parseArgs({
  options: {
    only: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: randomBytes(4).toString('hex') },
    minutes: { type: 'string', default: '90' },
  },
}).values
const until = Date.now() + Number(minutes) * 60_000
const chosen = sampled(MUTANTS.filter(({ file, from }) => !only || `${file} ${from}`.includes(only)))
const copy = await mkdtemp(join(tmpdir(), 'daicn-mutants-'))
try {
  await cp(inRoot('foundry.toml'), join(copy, 'foundry.toml'))
  await cp(inRoot('contracts'), join(copy, 'contracts'), { recursive: true })
  await symlink(inRoot('node_modules'), join(copy, 'node_modules'))
  for (const folder of new Set(chosen.flatMap(({ file }) => TESTS[file]!))) {
    if (!(await testsPass(folder))) throw new Error(`the tests of ${folder} fail before anything was changed`)
  }
  const wrong: Mutant[] = []
  let tried = 0
  for (const mutant of chosen) {
    if (Date.now() > until) break
    const killed = await isKilled(mutant)
    tried++
    const isRight = killed !== (mutant.survives !== undefined)
    const outcome = isRight ? (killed ? 'killed' : 'equivalent') : killed ? 'KILLED' : 'SURVIVED'
    console.log(`${outcome.padEnd(10)} ${mutant.file}: ${mutant.from.trim()}`)
    if (!isRight) wrong.push(mutant)
  }
  console.log(`${tried - wrong.length} as they should, ${wrong.length} not, ${chosen.length - tried} not tried`)
  if (wrong.length > 0) process.exitCode = 1
} finally {
  await rm(copy, { recursive: true, force: true })
}

/** All of them, or as many as were asked for: which ones follows from the seed. */
function sampled(mutants: Mutant[]): Mutant[] {
  if (sample === undefined) return mutants
  console.log(`a sample of ${sample} of ${mutants.length}, --seed ${seed}`)
  const rank = ({ file, from, to }: Mutant) =>
    createHash('sha256').update(`${seed} ${file} ${from} ${to}`).digest('hex')
  const drawn = new Set(mutants.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, Number(sample)))
  return mutants.filter((mutant) => drawn.has(mutant))
}

async function isKilled({ file, from, to }: Mutant): Promise<boolean> {
  const path = join(copy, 'contracts/src', file)
  const source = await readFile(path, 'utf8')
  const flat = flexible(from)
  if ([...source.matchAll(flat)].length !== 1) throw new Error(`${file} does not hold once: ${from}`)
  await writeFile(
    path,
    source.replace(flat, () => to),
  )
  try {
    for (const folder of TESTS[file]!) if (!(await testsPass(folder))) return true
    return false
  } finally {
    await writeFile(path, source)
  }
}

/** The text however it was broken into lines. */
function flexible(text: string): RegExp {
  const literal = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(literal.replace(/\s+/g, '\\s+').replace(/\\([(),])/g, '\\s*\\$1\\s*'), 'g')
}

/** Stops at the first test that fails. Throws when there was none to run, for what was changed does not compile. */
async function testsPass(folder: string): Promise<boolean> {
  const { code, output } = await forge('test', '--fail-fast', '--match-path', `contracts/test/${folder}/*`)
  if (code === 0) return true
  if (/^Encountered a total of \d+ failing tests?/m.test(output)) return false
  throw new Error(`forge did not get to the tests of ${folder}:\n${output.slice(-2000)}`)
}

/** Without the optimizer, which takes the compiler most of its time and changes nothing that a test can see. */
function forge(...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRoot('scripts/forge.ts'), ...args], {
      cwd: copy,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FOUNDRY_DENY: 'never', FOUNDRY_OPTIMIZER: 'false' },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

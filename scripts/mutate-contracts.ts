/**
 * Takes away each guard of the contracts in turn, in a copy of the sources, and runs their tests: every time some test must
 * fail. What survives is a guard that nothing holds in place.
 *
 *   npm run test:mutants [-- --only TEXT]     exits 1 if one survives
 */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { inRoot } from './paths.ts'

/** One change: in `file`, `from` (which must be there once) becomes `to`. */
type Mutant = { file: string; from: string; to: string }

const SETTLEMENT = 'DaicnSettlement.sol'
const LEDGER = 'libraries/Ledger.sol'
const REGISTRY = 'ProviderRegistry.sol'
const COURT = 'DisputeCourt.sol'
const COMMITTEES = 'libraries/Committees.sol'
const LOG = 'ReceiptLog.sol'
const gone = (file: string, from: string): Mutant => ({ file, from, to: '' })
const becomes = (file: string, from: string, to: string): Mutant => ({ file, from, to })

const MUTANTS: Mutant[] = [
  // Who may.
  gone(SETTLEMENT, 'if (received != amount) revert DaicnSettlement_InexactDeposit(received, amount);'),
  gone(SETTLEMENT, 'if (block.timestamp > deadline) revert DaicnSettlement_Expired(deadline);'),
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
  gone('libraries/Vouchers.sol', 'if (start > packed.length) revert Vouchers_Truncated(offset);'),
  gone('libraries/Vouchers.sol', 'if (next > packed.length) revert Vouchers_Truncated(offset);'),
  // The books.
  gone(LEDGER, 'if (signer == address(0)) revert Ledger_NoSigner();'),
  becomes(
    LEDGER,
    'if (amount > free) revert Ledger_Insufficient(id, free, amount);',
    'if (amount > free) amount = free;',
  ),
  gone(LEDGER, 'if (epoch != lane.epoch) revert Ledger_StaleEpoch(epoch, lane.epoch);'),
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
  becomes(LOG, 'own.unbondsAt == 0 || block.timestamp < own.unbondsAt', 'own.unbondsAt == 0'),
  gone('Parameters.sol', 'if (msg.sender != GOVERNANCE) revert Parameters_NotGovernance(msg.sender);'),
  gone('Parameters.sol', 'if (value < low || value > high) revert Parameters_OutOfBounds(name, value, low, high);'),
  gone(
    'DaicnTimelock.sol',
    'if (delay < LEAST_DELAY || delay > LONGEST_DELAY) revert DaicnTimelock_OutOfBounds(delay);',
  ),
  gone('DaicnGovernor.sol', 'if (value < low || value > high) revert DaicnGovernor_OutOfBounds(value, low, high);'),
  becomes('DaicnGovernor.sol', ' + REGISTRY.getPastVotes(account, timepoint)', ''),
]

const INVARIANTS = 'contracts/test/invariant/*'

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values
const copy = await mkdtemp(join(tmpdir(), 'daicn-mutants-'))
try {
  await cp(inRoot('foundry.toml'), join(copy, 'foundry.toml'))
  await cp(inRoot('contracts'), join(copy, 'contracts'), { recursive: true })
  await symlink(inRoot('node_modules'), join(copy, 'node_modules'))
  if (!(await quickTestsPass())) throw new Error('the tests fail before anything was changed')
  const survivors: Mutant[] = []
  for (const mutant of MUTANTS.filter(({ file, from }) => !only || `${file} ${from}`.includes(only))) {
    const killed = await isKilled(mutant)
    console.log(`${killed ? 'killed  ' : 'SURVIVED'} ${mutant.file}: ${mutant.from.trim()}`)
    if (!killed) survivors.push(mutant)
  }
  if (survivors.length > 0) process.exitCode = 1
} finally {
  await rm(copy, { recursive: true, force: true })
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
    if (!(await forge('build', 'contracts/src'))) throw new Error(`${file} does not compile with: ${to}`)
    return !(await testsPass())
  } finally {
    await writeFile(path, source)
  }
}

/** The text however it was broken into lines. */
function flexible(text: string): RegExp {
  const literal = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(literal.replace(/\s+/g, '\\s+').replace(/\\([(),])/g, '\\s*\\$1\\s*'), 'g')
}

function quickTestsPass(): Promise<boolean> {
  return forge('test', '--fail-fast', '--no-match-path', INVARIANTS)
}

/** Stops at the first test that fails; the invariants, which take a minute, only see what the others let pass. */
async function testsPass(): Promise<boolean> {
  return (await quickTestsPass()) && (await forge('test', '--fail-fast', '--match-path', INVARIANTS))
}

function forge(...args: string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRoot('scripts/forge.ts'), ...args], {
      cwd: copy,
      stdio: 'ignore',
      env: { ...process.env, FOUNDRY_DENY: 'never' },
    })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code === 0))
  })
}

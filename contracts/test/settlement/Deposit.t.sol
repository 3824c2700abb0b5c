// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {HostileToken, IHook, Wallet} from "../support/Parts.sol";
import {SettlementTest} from "../support/SettlementTest.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

contract DepositTest is SettlementTest {
    uint256 private constant OWNER_KEY = 0x0143;
    address private owner = vm.addr(OWNER_KEY);

    function test_creditsTheAccountThatIsNamed() external {
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Deposited(account, PAYER, signer, 5 ether);
        settlement.deposit(PAYER, signer, 5 ether);
        vm.assertEq(_free(account), 5 ether);
        vm.assertEq(settlement.accounts(account).signer, signer);
        vm.assertEq(token.balanceOf(address(settlement)), 5 ether);
    }

    function test_onlyTheNamedPayerTakesItBack() external {
        settlement.deposit(PAYER, signer, 5 ether);
        vm.expectRevert();
        settlement.withdraw(signer, 5 ether);
        vm.prank(PAYER);
        settlement.withdraw(signer, 5 ether);
        vm.assertEq(token.balanceOf(PAYER), 5 ether);
    }

    function test_addsToWhatIsFree() external {
        settlement.deposit(PAYER, signer, 5 ether);
        settlement.deposit(PAYER, signer, 7 ether);
        vm.assertEq(_free(account), 12 ether);
    }

    function test_revertsWithoutSigner() external {
        vm.expectRevert(Ledger.Ledger_NoSigner.selector);
        settlement.deposit(PAYER, address(0), 1);
    }

    function test_permitNeedsNoApproval() external {
        token.transfer(owner, 5 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(OWNER_KEY, 5 ether);
        vm.prank(owner);
        settlement.depositWithPermit(PAYER, signer, 5 ether, block.timestamp, v, r, s);
        vm.assertEq(_free(account), 5 ether);
    }

    function test_permitThatWasUsedFirst() external {
        token.transfer(owner, 5 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(OWNER_KEY, 5 ether);
        token.permit(owner, address(settlement), 5 ether, block.timestamp, v, r, s);
        vm.prank(owner);
        settlement.depositWithPermit(PAYER, signer, 5 ether, block.timestamp, v, r, s);
        vm.assertEq(_free(account), 5 ether);
    }

    function test_revertsForAForgedPermit() external {
        token.transfer(owner, 5 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(FORGER_KEY, 5 ether);
        vm.prank(owner);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(settlement), 0, 5 ether)
        );
        settlement.depositWithPermit(PAYER, signer, 5 ether, block.timestamp, v, r, s);
    }

    function test_authorizationSentByAnybody() external {
        token.transfer(owner, 5 ether);
        settlement.depositWithAuthorization(PAYER, signer, 5 ether, _authorization(owner, PAYER, 5 ether));
        vm.assertEq(_free(account), 5 ether);
        vm.assertEq(token.balanceOf(owner), 0);
    }

    function test_revertsForAnAuthorizationSentAgain() external {
        token.transfer(owner, 10 ether);
        DaicnSettlement.Authorization memory authorization = _authorization(owner, PAYER, 5 ether);
        settlement.depositWithAuthorization(PAYER, signer, 5 ether, authorization);
        vm.expectRevert(
            abi.encodeWithSelector(
                ERC3009.ERC3009UsedAuthorization.selector,
                owner,
                settlement.authorizationNonce(PAYER, signer, authorization.salt)
            )
        );
        settlement.depositWithAuthorization(PAYER, signer, 5 ether, authorization);
    }

    function test_revertsForAnAuthorizationOfAnotherAccount() external {
        token.transfer(owner, 5 ether);
        DaicnSettlement.Authorization memory authorization = _authorization(owner, PAYER, 5 ether);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        settlement.depositWithAuthorization(address(this), signer, 5 ether, authorization);
    }

    function test_authorizationOfAContract() external {
        Wallet wallet = new Wallet(owner);
        token.transfer(address(wallet), 5 ether);
        DaicnSettlement.Authorization memory authorization = _authorization(address(wallet), PAYER, 5 ether);
        authorization.signature = abi.encodePacked(authorization.signature, uint8(0));
        settlement.depositWithAuthorization(PAYER, signer, 5 ether, authorization);
        vm.assertEq(_free(account), 5 ether);
    }

    function test_revertsForATokenThatKeepsAFee() external {
        HostileToken hostile = _useHostileToken();
        hostile.setFee(100);
        vm.expectRevert(
            abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_InexactDeposit.selector, 99 ether, 100 ether)
        );
        settlement.deposit(PAYER, signer, 100 ether);
    }

    function test_revertsForATokenThatCallsBack() external {
        HostileToken hostile = _useHostileToken();
        Reenterer reenterer = new Reenterer(settlement, PAYER, signer);
        hostile.transfer(address(reenterer), 100 ether);
        hostile.setHook(address(reenterer));
        vm.expectRevert(
            abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_InexactDeposit.selector, 101 ether, 100 ether)
        );
        settlement.deposit(PAYER, signer, 100 ether);
    }

    function test_withdrawPaysThePayerAtOnce() external {
        settlement.deposit(PAYER, signer, 5 ether);
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Withdrawn(account, PAYER, 2 ether);
        vm.prank(PAYER);
        settlement.withdraw(signer, 2 ether);
        vm.assertEq(_free(account), 3 ether);
        vm.assertEq(token.balanceOf(PAYER), 2 ether);
    }

    function test_withdrawRevertsBeyondWhatIsFree() external {
        settlement.deposit(PAYER, signer, 5 ether);
        _lock(2 ether);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_Insufficient.selector, account, 3 ether, 4 ether));
        vm.prank(PAYER);
        settlement.withdraw(signer, 4 ether);
    }

    function test_withdrawRevertsForTheSigner() external {
        settlement.deposit(PAYER, signer, 5 ether);
        bytes32 other = settlement.accountOf(signer, signer);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_Insufficient.selector, other, 0, 1));
        vm.prank(signer);
        settlement.withdraw(signer, 1);
    }

    function _useHostileToken() private returns (HostileToken hostile) {
        hostile = new HostileToken();
        settlement = new DaicnSettlement(DaicnToken(address(hostile)), TREASURY, fee);
        hostile.approve(address(settlement), type(uint256).max);
    }

    function _permit(uint256 key, uint256 amount) private view returns (uint8, bytes32, bytes32) {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        return vm.sign(
            key, _tokenDigest(abi.encode(typehash, owner, settlement, amount, token.nonces(owner), block.timestamp))
        );
    }

    /// @dev Signed by the owner's key, for `from`.
    function _authorization(address from, address payer, uint256 amount)
        private
        view
        returns (DaicnSettlement.Authorization memory)
    {
        bytes32 salt = keccak256("salt");
        bytes32 nonce = settlement.authorizationNonce(payer, signer, salt);
        bytes32 typehash = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes memory message = abi.encode(typehash, from, settlement, amount, 0, block.timestamp + 1, nonce);
        bytes memory signature = _sign(OWNER_KEY, _tokenDigest(message));
        return DaicnSettlement.Authorization(from, 0, block.timestamp + 1, salt, signature);
    }

    function _tokenDigest(bytes memory message) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), keccak256(message)));
    }
}

/// @notice Deposits one more token while it is called back.
contract Reenterer is IHook {
    DaicnSettlement private immutable SETTLEMENT;
    address private immutable PAYER;
    address private immutable SIGNER;
    bool private _entered;

    constructor(DaicnSettlement settlement, address payer, address signer) {
        (SETTLEMENT, PAYER, SIGNER) = (settlement, payer, signer);
    }

    function onTransfer(address, address, uint256) external {
        if (_entered) return;
        _entered = true;
        DaicnToken token = SETTLEMENT.TOKEN();
        token.approve(address(SETTLEMENT), 1 ether);
        SETTLEMENT.deposit(PAYER, SIGNER, 1 ether);
    }
}

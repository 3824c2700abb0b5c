CREATE TABLE `minutes` (
	`cell` text NOT NULL,
	`at` integer NOT NULL,
	`submitted` integer NOT NULL,
	`succeeded` integer NOT NULL,
	`failed` integer NOT NULL,
	`wait_p50_ms` integer,
	`wait_p95_ms` integer,
	`volume` text NOT NULL,
	`total_providers` integer,
	`active_providers` integer,
	`average_reputation` real,
	`health_score` real,
	PRIMARY KEY(`cell`, `at`)
);
--> statement-breakpoint
CREATE TABLE `task_pages` (
	`cell` text NOT NULL,
	`pack` integer NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`count` integer NOT NULL,
	`tasks` text NOT NULL,
	PRIMARY KEY(`cell`, `pack`)
);
